import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { ownerId } from "../core/ids.ts";
import { type HandlerRun, runHandler } from "./run-handler.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

function runOf(signal: AbortSignal): HandlerRun {
  return { request: new Uint8Array(0), from: ownerId("peer"), signal };
}

test("a call that goes on for long does not keep the chunks that it has handed out", async () => {
  const chunks: WeakRef<Uint8Array>[] = [];
  const run = runHandler(async function* () {
    for (;;) {
      const chunk = new Uint8Array(1_000);
      chunks.push(new WeakRef(chunk));
      yield chunk;
    }
  }, runOf(new AbortController().signal));
  for (let at = 0; at < 50; at += 1) await run.next();
  // What a WeakRef was made of in a turn of the event loop is kept until that turn ends.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  // The last one or two may still be at hand.
  expect(chunks.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThan(5);
  await run.return(undefined);
});

test("an abort ends a run that waits, one between two chunks, and one that did not begin", async () => {
  async function* once(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1);
    await new Promise(() => undefined);
  }
  const waits = new AbortController();
  const waiting = runHandler(once, runOf(waits.signal));
  await waiting.next();
  const next = waiting.next();
  waits.abort();
  await expect(next).rejects.toMatchObject({ code: "aborted" });
  const between = new AbortController();
  const paused = runHandler(once, runOf(between.signal));
  await paused.next();
  between.abort();
  await expect(paused.next()).rejects.toMatchObject({ code: "aborted" });
  await expect(runHandler(once, runOf(AbortSignal.abort())).next()).rejects.toMatchObject({
    code: "aborted",
  });
});
