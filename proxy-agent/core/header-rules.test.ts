import { describe, expect, test } from "vitest";
import { requestHeaders, responseHeaders, trailerPairs } from "./header-rules.ts";

const client = { address: "10.0.0.9", host: "hello.localhost", isUpgrade: false };

/** Names and values of one flat list, by lower-case name; repeats are joined. */
function byName(flat: readonly string[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (let index = 0; index < flat.length; index += 2) {
    const name = (flat[index] ?? "").toLowerCase();
    headers[name] = name in headers ? `${headers[name]}, ${flat[index + 1]}` : `${flat[index + 1]}`;
  }
  return headers;
}

describe("requestHeaders()", () => {
  test("leaves out what is meant for one connection, by name and by being named", () => {
    const raw = [
      "Connection",
      "close, X-Mine",
      "X-Mine",
      "1",
      "TE",
      "trailers",
      "Trailer",
      "X-Sum",
      "X",
      "2",
    ];
    expect(Object.keys(byName(requestHeaders(raw, client))).sort()).toEqual([
      "host",
      "x",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
    ]);
  });

  test("does not let a client take away what the app, or where a body ends, rests on", () => {
    const kept = { host: "hello.localhost", "content-length": "3", authorization: "me", cookie: "a=1" };
    const raw = ["Connection", `${Object.keys(kept).join(", ")}, x-forwarded-proto`];
    for (const [name, value] of Object.entries(kept)) raw.push(name, value);
    const passed = byName(requestHeaders([...raw, "X-Forwarded-Proto", "https"], client));
    expect(passed).toMatchObject({ ...kept, "x-forwarded-proto": "https" });
  });

  test("names the host that the request is for, whatever its Host header says and if it has none", () => {
    expect(byName(requestHeaders(["HOST", "other"], client))["host"]).toBe("hello.localhost");
    expect(byName(requestHeaders([], client))["host"]).toBe("hello.localhost");
  });

  test("adds its client to those of the proxies before", () => {
    const raw = ["X-Forwarded-For", "1.1.1.1", "X", "y", "x-forwarded-for", "2.2.2.2"];
    expect(byName(requestHeaders(raw, client))["x-forwarded-for"]).toBe("1.1.1.1, 2.2.2.2, 10.0.0.9");
  });

  test("asks for an upgrade in its own words", () => {
    const raw = ["Connection", "keep-alive, Upgrade", "Upgrade", "WebSocket"];
    const passed = byName(requestHeaders(raw, { ...client, isUpgrade: true }));
    expect(passed).toMatchObject({ connection: "Upgrade", upgrade: "websocket" });
  });
});

test("responseHeaders() keeps case, order and repeats, and lets no app sign in our name", () => {
  const raw = [
    "X-B",
    "1",
    "Set-Cookie",
    "a",
    "Grapevine-VM",
    "me",
    "Transfer-Encoding",
    "chunked",
    "Set-Cookie",
    "b",
  ];
  expect(responseHeaders(raw, { "grapevine-vm": "hello-v1-1" })).toEqual([
    ...["X-B", "1", "Set-Cookie", "a", "Set-Cookie", "b"],
    ...["grapevine-vm", "hello-v1-1"],
  ]);
});

test("trailerPairs() passes no framing, routing or credentials", () => {
  const raw = [
    "X-Sum",
    "42",
    "Content-Length",
    "1",
    "Host",
    "x",
    "Transfer-Encoding",
    "chunked",
    "Cookie",
    "a=1",
  ];
  expect(trailerPairs(raw)).toEqual([["X-Sum", "42"]]);
});
