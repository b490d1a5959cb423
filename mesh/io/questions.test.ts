import { expect, test } from "vitest";
import { type OwnerId, ownerId } from "../core/ids.ts";
import type { DigestMessage, PullMessage } from "../core/message.ts";
import { Questions } from "./questions.ts";

const [A, B] = [ownerId("a"), ownerId("b")];
const digest = (round: number): DigestMessage => ({ kind: "digest", round, items: [] });
const pull = (round: number): PullMessage => ({ kind: "pull", round, items: [] });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function record(): { readonly log: string[]; readonly dropped: () => number; readonly questions: Questions } {
  const log: string[] = [];
  let dropped = 0;
  const questions = new Questions(
    (from, { kind, round }) => log.push(`${from} ${kind} ${round}`),
    () => {
      dropped += 1;
    },
  );
  return { log, dropped: () => dropped, questions };
}

test("are answered one a turn of the event loop, each peer in its turn", async () => {
  const { log, questions } = record();
  questions.add(A, pull(1));
  questions.add(A, pull(2));
  questions.add(A, digest(3));
  questions.add(B, digest(1));
  const seen: number[] = [];
  for (let at = 0; at < 6; at += 1) {
    await turn();
    seen.push(log.length);
  }
  expect(log).toEqual(["a pull 1", "b digest 1", "a pull 2", "a digest 3"]);
  expect(seen).toEqual([1, 2, 3, 4, 4, 4]);
});

test("of one peer only the newest digest counts, and pulls over the bound are dropped and counted", async () => {
  const { log, dropped, questions } = record();
  for (let round = 1; round <= 100; round += 1) questions.add(A, digest(round));
  for (let round = 1; round <= 100; round += 1) questions.add(B, pull(round));
  for (let at = 0; at < 200; at += 1) await turn();
  expect(log.filter((line) => line.startsWith("a"))).toEqual(["a digest 100"]);
  expect(log.filter((line) => line.startsWith("b")).length + dropped()).toBe(100);
  expect(dropped()).toBeGreaterThan(0);
});

test("of a peer that was lost, and after stop, are not answered", async () => {
  const { log, questions } = record();
  for (const peer of [A, B]) questions.add(peer satisfies OwnerId, digest(1));
  questions.drop(A);
  await turn();
  questions.add(A, digest(2));
  questions.stop();
  await turn();
  expect(log).toEqual(["b digest 1"]);
});
