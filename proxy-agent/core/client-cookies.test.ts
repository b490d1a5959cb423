import { describe, expect, test } from "vitest";
import { appName } from "../../mesh/index.ts";
import {
  type ClientCookie,
  isNavigation,
  pageOf,
  readClientCookies,
  setClientCookie,
  withoutClientCookies,
} from "./client-cookies.ts";

const APP = appName("hello");
const STICKY: ClientCookie = { app: "hello", epoch: 7, release: 2, sticky: { backs: 1, place: 42 } };
const PAGE: ClientCookie = { app: "hello", epoch: 7, release: 2, sticky: null };

describe("client cookies", () => {
  test("are read as they were set, out of whatever else the client has", () => {
    const lines = [setClientCookie(STICKY, [], 0), setClientCookie({ ...PAGE, epoch: 9 }, [], 1_500)].flat();
    expect(lines).toEqual([
      "grapevine.hello.7.2=1.42; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax",
      "grapevine.hello.9.2=page; Max-Age=2; Path=/; HttpOnly; SameSite=Lax",
    ]);
    const shown = lines.map((line) => line.split(";")[0]).join("; ");
    const raw = ["Cookie", `a=1; ${shown}`, "cookie", "b=grapevine.hello.1.1=1.1; grapevine.other.3.3=1.2"];
    expect(readClientCookies(raw, APP)).toEqual([STICKY, { ...PAGE, epoch: 9 }]);
  });

  test.each([
    "grapevine.hello.7.2=1.10000",
    "grapevine.hello.7=1.1",
    "grapevine.hello.7.2",
    "grapevine.hello.7.2=",
    "grapevine.hello.-7.2=1.1",
    "grapevine.hello.99999999999999999.2=1.1",
    "grapevine.hello.7.2=1.1.1",
  ])("that nobody set are none: %s", (pair) => {
    expect(readClientCookies(["Cookie", pair], APP)).toEqual([]);
  });

  test("of a client that makes them up are read up to a bound", () => {
    const pairs = Array.from({ length: 1_000 }, (_, index) => `grapevine.hello.${index}.1=0.1`);
    expect(readClientCookies(["Cookie", pairs.join("; ")], APP)).toHaveLength(32);
  });

  test("are set once, with the end of what they take the place of", () => {
    const before = [STICKY, { ...STICKY, epoch: 6, release: 1 }];
    expect(setClientCookie(STICKY, before, 0)).toEqual([
      "grapevine.hello.6.1=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
    ]);
    expect(setClientCookie(STICKY, [STICKY], 0)).toEqual([]);
    // A page's time counts from its own navigation on.
    expect(setClientCookie(PAGE, [PAGE], 1_000)).toHaveLength(1);
  });

  test("do not reach the app, and its own do as they are", () => {
    expect(withoutClientCookies("a=1; b=2")).toBe("a=1; b=2");
    expect(withoutClientCookies("grapevine.hello.7.2=1.42")).toBeNull();
    expect(withoutClientCookies("a=1; grapevine.hello.7.2=1.42; b=2")).toBe("a=1; b=2");
    expect(withoutClientCookies("grapevine.hello.7.2=1.42; b=2")).toBe("b=2");
    expect(withoutClientCookies("grapevine.x=1; b=grapevine.hello.7.2")).toBe(
      "grapevine.x=1; b=grapevine.hello.7.2",
    );
  });

  test("of pages that were open one after the other the last one counts", () => {
    expect(pageOf([PAGE, { ...PAGE, epoch: 8, release: 1 }, STICKY])).toEqual({
      ...PAGE,
      epoch: 8,
      release: 1,
    });
    expect(pageOf([STICKY])).toBeNull();
  });
});

describe("a navigation", () => {
  test.each([
    ["GET", { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" }, true],
    ["POST", { "sec-fetch-dest": "document" }, true],
    ["GET", { "sec-fetch-mode": "navigate" }, true],
    ["GET", { accept: "text/html,application/xhtml+xml" }, true],
    ["GET", { "sec-fetch-dest": "iframe", "sec-fetch-mode": "navigate" }, false],
    ["GET", { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors", accept: "text/html" }, false],
    ["GET", { "sec-fetch-dest": "script", accept: "*/*" }, false],
    ["GET", { accept: "*/*" }, false],
    ["HEAD", { accept: "text/html" }, false],
    ["GET", {}, false],
  ] as const)("%s %o: %s", (method, headers, expected) => {
    const held: Readonly<Record<string, string>> = headers;
    expect(isNavigation(method, (name) => held[name])).toBe(expected);
  });
});
