import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { withHeartbeat } from "./heartbeat.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("withHeartbeat() gives each value, null for each silence, and ends with the source", async () => {
  const source = Promise.withResolvers<void>();
  async function* values(): AsyncGenerator<string> {
    yield "a";
    await source.promise;
    yield "b";
  }
  const beats = withHeartbeat(values(), 1_000);
  expect((await beats.next()).value).toBe("a");
  for (let silence = 0; silence < 3; silence += 1) {
    const beat = beats.next();
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await beat).value).toBeNull();
  }
  source.resolve();
  expect((await beats.next()).value).toBe("b");
  expect((await beats.next()).done).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

it("withHeartbeat() leaves nothing on a promise that stays open, however often it beats", async () => {
  let reactions = 0;
  const pending = new Promise<IteratorResult<string>>(() => {});
  const counted = Object.assign(pending, {
    // biome-ignore lint/suspicious/noThenProperty: what is counted is who waits.
    then: (...handlers: Parameters<typeof pending.then>) => {
      reactions += 1;
      return Promise.prototype.then.apply(pending, handlers);
    },
  });
  const beats = withHeartbeat({ [Symbol.asyncIterator]: () => ({ next: () => counted }) }, 1_000);
  for (let silence = 0; silence < 10; silence += 1) {
    const beat = beats.next();
    await vi.advanceTimersByTimeAsync(1_000);
    await beat;
  }
  expect(reactions).toBe(1);
});

it("withHeartbeat() passes on how the source failed, and closes it when it is left", async () => {
  const failing = withHeartbeat(
    (async function* () {
      yield 1;
      throw new Error("broken");
    })(),
    1_000,
  );
  await failing.next();
  await expect(failing.next()).rejects.toThrow("broken");
  let isClosed = false;
  const left = withHeartbeat(
    (async function* () {
      try {
        yield 1;
        yield 2;
      } finally {
        isClosed = true;
      }
    })(),
    1_000,
  );
  await left.next();
  await left.return(undefined);
  expect(isClosed).toBe(true);
});
