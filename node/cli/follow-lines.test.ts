// A stream that goes on for good, against a real listener: when it is asked for again, and when it is given up.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ApiClient, ApiError } from "./api-client.ts";
import { followLines } from "./follow-lines.ts";

let server: Server;
let client: ApiClient;
/** What the server sends, one answer after the other; the last again and again. */
let answers: readonly string[];
let asked: number;

beforeEach(async () => {
  asked = 0;
  server = createServer((_request, response) => {
    response.end(answers[Math.min(asked, answers.length - 1)]);
    asked += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  client = new ApiClient([{ address: `http://127.0.0.1:${port}`, name: null, isVerified: true }]);
});
afterEach(async () => {
  await client.close();
  await new Promise((resolve) => server.close(resolve));
});

const UNAVAILABLE = '{"error": "unavailable"}\n';

/** Hears numbers, and takes an error line as the commands do. */
function follow(heard: unknown[], lostAfterMs: number, signal: AbortSignal): Promise<void> {
  const hear = (line: unknown): void => {
    const { error } = line as { readonly error?: string };
    if (error !== undefined) throw new ApiError(error, "not now");
    heard.push(line);
    if (heard.length === 2) end.abort();
  };
  const end = new AbortController();
  const request = () => ({ method: "GET", path: "/" }) as const;
  const followed = { request, hear, refused: () => false, retryMs: 1, lostAfterMs };
  return followLines(client, followed, AbortSignal.any([signal, end.signal]));
}

it("a stream that breaks is asked for again", async () => {
  answers = ['{"n": 1}\n', UNAVAILABLE, '{"n": 2}\n'];
  const heard: unknown[] = [];
  await follow(heard, 60_000, AbortSignal.timeout(60_000));
  expect(heard).toEqual([{ n: 1 }, { n: 2 }]);
});

it("a stream whose every line is that the agent cannot, with signs of life before it, is given up", async () => {
  answers = [`\n${UNAVAILABLE}`];
  await expect(follow([], 50, new AbortController().signal)).rejects.toThrow("not now");
  expect(asked).toBeGreaterThan(1);
});
