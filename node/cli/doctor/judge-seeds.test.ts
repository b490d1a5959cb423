// Facts in, findings out: what a person reads of the members that are asked first.

import { expect, it } from "vitest";
import { fail, memberName, ok, ownerId } from "../../../mesh/index.ts";
import type { SeedFacts } from "./gather-seeds.ts";
import { judgeSeeds } from "./judge-seeds.ts";

const TARGET = { cluster: "12D3KooWours", name: "host-1" };
const OWN: SeedFacts = {
  seed: "10.0.0.1:7946",
  isOwn: true,
  unresolved: null,
  connect: null,
  greeting: null,
};
const greeting = (cluster: string, name: string): SeedFacts["greeting"] =>
  ok({ owner: ownerId("12D3KooWpeer"), cluster, name: memberName(name), role: "host" });

function seed(changes: Partial<SeedFacts>): SeedFacts {
  return { ...OWN, seed: "10.0.0.2:7946", isOwn: false, connect: { ok: true, ms: 3 }, ...changes };
}

const refused = seed({ seed: "10.0.0.3:7946", connect: { ok: false, code: "ECONNREFUSED" } });
const levels = (facts: readonly SeedFacts[]) => judgeSeeds(facts, TARGET).map(({ level }) => level);

it("a seed that says it is of this cluster is named; with it one that is away is a warning", () => {
  const good = seed({ greeting: greeting(TARGET.cluster, "host-2") });
  expect(judgeSeeds([OWN, good, refused], TARGET)).toMatchObject([
    { level: "ok", found: "10.0.0.2:7946 is host-2 in 3 ms" },
    { level: "warn", found: "10.0.0.3:7946: no process listens there" },
  ]);
});

it("when none answers that is a failure, unless it may be the first of its cluster", () => {
  expect(levels([refused])).toEqual(["fail"]);
  expect(levels([OWN, refused])).toEqual(["warn"]);
  expect(levels([OWN])).toEqual(["ok"]);
  expect(levels([])).toEqual(["warn"]);
  const lost = seed({ connect: { ok: false, code: "timeout" } });
  expect(judgeSeeds([lost], TARGET)[0]?.next).toContain("firewall");
  expect(judgeSeeds([seed({ unresolved: "ENOTFOUND", connect: null })], TARGET)[0]?.found).toContain(
    "ENOTFOUND",
  );
});

it("another cluster, another program, or its own name there is a failure whoever else answers", () => {
  const good = seed({ greeting: greeting(TARGET.cluster, "host-2") });
  const wrong = [
    seed({ greeting: greeting("12D3KooWtheirs", "host-8") }),
    seed({ greeting: fail("message: format 9, we speak 1") }),
    seed({ greeting: greeting(TARGET.cluster, "host-1") }),
  ];
  for (const one of wrong) expect(levels([OWN, good, one])).toEqual(["ok", "fail"]);
  expect(judgeSeeds(wrong, TARGET).map(({ found }) => found)).toEqual([
    "10.0.0.2:7946: it is host-8 of cluster 12D3KooWtheirs, not 12D3KooWours",
    expect.stringContaining("format 9"),
    "10.0.0.2:7946: it says that it is host-1 itself",
  ]);
});
