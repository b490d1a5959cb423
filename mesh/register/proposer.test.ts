import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Operation } from "./proposer-face.ts";
import { listOf } from "./testing/voters.ts";
import { World } from "./testing/world.ts";

// Transcripts: paragraphs of prose, and commands (">") with what followed from them. `REWRITE=1` writes them anew:
// read the diff before you keep it.
//
//   voters abc            acceptors a, b and c, under list 1
//   a swap 0 one          proposer a begins; also: read, recommit, seed 7 one
//   a to b [prepare 1.a]  the newest such request reaches b, and its answer a
//   a asks b [accept 1.a] only the request; the answer waits
//   a hears b             b's newest answer
//   a timer, a gives up, a crashes
//   a learns 2 abcd       the proposer goes by list 2; b adopts 2 abcd: the acceptor does
//   b refuses REASON      records; b reads: no more
//   slots, proposers      what they have
const FOLDER = join(import.meta.dirname, "testdata");

describe("A proposer", () => {
  for (const file of readdirSync(FOLDER)) {
    it(`does what ${file} tells`, () => {
      const path = join(FOLDER, file);
      const before = readFileSync(path, "utf8");
      const after = replay(before);
      if (process.env["REWRITE"] === "1") writeFileSync(path, after);
      else expect(after).toBe(before);
    });
  }
});

describe("Two proposers", () => {
  it("both end once their messages arrive, whatever was lost, doubled or late before", () => {
    const move = fc.tuple(
      fc.constantFrom("a", "b"),
      fc.constantFrom("ask", "hear", "timer"),
      fc.constantFrom("a", "b", "c"),
    );
    const operations = fc.constantFrom("swap", "read", "recommit", "seed");
    fc.assert(
      fc.property(operations, operations, fc.array(move, { maxLength: 60 }), (first, second, moves) => {
        const world = new World("abc");
        world.begin("a", operationOf(first, 0, "one"));
        world.begin("b", operationOf(second, 0, "two"));
        for (const [who, what, voter] of moves) {
          if (what === "timer") world.timer(who);
          else if (what === "ask") world.ask(who, voter, "");
          else if (world.isAnswered(who, voter)) world.hear(who, voter);
        }
        for (const who of ["a", "b"]) complete(world, who);
      }),
    );
  });
});

/** Twice as often as a proposer alone needs: query, a lost ballot, prepare, accept. */
const ROUNDS_MAX = 8;

function complete(world: World, who: string): void {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    for (const voter of ["a", "b", "c"]) {
      if (!world.isBusy(who)) return;
      world.ask(who, voter, "");
      world.hear(who, voter);
    }
    world.timer(who);
  }
  expect(world.isBusy(who), world.lines.join("\n")).toBe(false);
}

function replay(text: string): string {
  let world = new World("abc");
  const paragraphs = text.trimEnd().split("\n\n");
  const replayed = paragraphs.map((paragraph) => {
    if (!paragraph.startsWith("> ")) return paragraph;
    const commands = paragraph.split("\n").filter((line) => line.startsWith("> "));
    const told = commands.map((line) => {
      const [who = "", verb = "", ...rest] = line.slice(2).split(" ");
      if (who === "voters") world = new World(verb);
      const from = world.lines.length;
      const extra = shown(world, who);
      if (verb !== "" && who !== "voters") run(world, who, verb, rest);
      return [line, ...world.lines.slice(from), ...extra].join("\n");
    });
    return told.join("\n");
  });
  return `${replayed.join("\n\n")}\n`;
}

function shown(world: World, what: string): readonly string[] {
  if (what === "slots") return world.describeSlots();
  return what === "proposers" ? world.describeProposers() : [];
}

function run(world: World, who: string, verb: string, rest: readonly string[]): void {
  const [first = "", ...others] = rest;
  const list = () => listOf(others.join(""), { number: Number(first) });
  if (isOperation(verb)) world.begin(who, operationOf(verb, Number(first), others.join(" ")));
  else if (verb === "to") {
    world.ask(who, first, others.join(" "));
    world.hear(who, first);
  } else if (verb === "asks") world.ask(who, first, others.join(" "));
  else if (verb === "hears") world.hear(who, first);
  else if (verb === "timer") world.timer(who);
  else if (verb === "gives") world.advance(who, { kind: "give-up" });
  else if (verb === "crashes") world.crash(who);
  else if (verb === "learns") world.learn(who, list());
  else if (verb === "adopts") world.adopt(who, list());
  else if (verb === "refuses") world.refuse(who, rest.join(" "));
  else if (verb === "reads") world.refuse(who, null);
  else throw new Error(`no command ${verb}`);
}

function isOperation(verb: string): verb is Operation["kind"] {
  return ["read", "recommit", "swap", "seed"].includes(verb);
}

function operationOf(kind: Operation["kind"], epoch: number, text: string): Operation {
  const record = new TextEncoder().encode(text);
  switch (kind) {
    case "read":
    case "recommit":
      return { kind };
    case "swap":
      return { kind, expectedEpoch: epoch, record };
    case "seed":
      return { kind, epoch, record };
  }
}
