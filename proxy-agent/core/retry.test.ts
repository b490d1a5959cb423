import { describe, expect, test } from "vitest";
import { decideRetry } from "./retry.ts";

const get = { method: "GET", hasBody: false };
const failure = { sent: false, responded: false, timedOut: false };
const post = { method: "POST", hasBody: true };

describe("decideRetry()", () => {
  test("tries anything again of which nothing was sent", () => {
    for (const request of [get, post, { method: "POST", hasBody: false }]) {
      expect(decideRetry(failure, request, 3)).toBe("again");
    }
  });

  test("asks once more for what may run twice, and never for what must not", () => {
    const broken = { ...failure, sent: true };
    expect(decideRetry(broken, get, 0)).toBe("once-more");
    expect(decideRetry(broken, get, 1)).toBe("give-up");
    for (const request of [post, { method: "GET", hasBody: true }, { method: "DELETE", hasBody: false }]) {
      expect(decideRetry(broken, request, 0)).toBe("give-up");
    }
  });

  test("never asks again what had all the time that an answer may take", () => {
    expect(decideRetry({ ...failure, sent: true, timedOut: true }, get, 0)).toBe("give-up");
  });

  test("never tries again what began to be answered", () => {
    expect(decideRetry({ ...failure, sent: true, responded: true }, get, 0)).toBe("give-up");
  });
});
