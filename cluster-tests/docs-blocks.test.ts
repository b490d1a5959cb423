// What the pages show is so, as far as it can be seen without running it; scenarios/docs.test.ts runs the rest.

import { expect, test } from "vitest";
import { blockFault } from "./docs/block-faults.ts";
import { blocksOf, codeOf, PAGES } from "./docs/blocks.ts";
import { commandFault } from "./docs/command-fault.ts";
import { normalised, patternOf } from "./docs/expected-output.ts";
import { SCRIPTS, scriptOf } from "./docs/not-run.ts";
import { commandsOf, exchangesOf, grapevineWords } from "./docs/shell-lines.ts";

test.each(PAGES)("each block of %s is of a language that is checked, and passes", async (page) => {
  const blocks = blocksOf(page);
  const faults = await Promise.all(blocks.map(blockFault));
  const told = blocks.flatMap(({ place }, index) => {
    const fault = faults[index] ?? null;
    return fault === null ? [] : [`${place} ${fault}`];
  });
  expect(told).toEqual([]);
});

/** `grapevine COMMAND`, `grapevine bench …`: of commands at large. */
const AT_LARGE = /COMMAND|…$/;

test.each(PAGES)("commands that %s names in its sentences are there, with their options", async (page) => {
  const code = codeOf(page).filter((line) => !AT_LARGE.test(line));
  const faults = await Promise.all(code.map(faultOfNamed));
  const told = code.map((line, index) => ({ line, fault: faults[index] }));
  expect(told.filter(({ fault }) => fault !== null)).toEqual([]);
});

async function faultOfNamed(line: string): Promise<string | null> {
  const script = scriptOf(line);
  if (script !== null && !Object.hasOwn(SCRIPTS, script.name)) return "package.json has no such script";
  const words = grapevineWords(line);
  const fault = words === null || words.length === 0 ? null : await commandFault(words);
  return isMild(fault) ? null : fault;
}

/** A sentence leaves out what is not its point: `voters add` needs a host. */
function isMild(fault: string | null): boolean {
  return fault === null || /missing required argument|required option/.test(fault);
}

test.each([
  { language: "", text: "x", says: /no language that is checked/ },
  { language: "ts", text: "x", says: /no language that is checked/ },
  { language: "text", text: "x", says: /nothing holds/ },
  { language: "toml", text: 'name = "x"\ncomand = ["x"]', says: /did you mean `command`/ },
  { language: "toml", text: '# gate.toml\nname = "x"', says: /unknown key `name`/ },
  { language: "json", text: "{", says: /is no JSON/ },
  { language: "sh", text: "make all", says: /neither run nor named/ },
  { language: "sh", text: "npm run nothing", says: /no such script/ },
  { language: "sh", text: "grapevine deploy app.toml --plann", says: /--plann/ },
  { language: "sh", text: "docker build -f docker/Nofile .", says: /no docker\/Nofile/ },
])("a block of $language with $text is refused", async ({ language, text, says }) => {
  expect(await blockFault({ place: "here:1", page: "here", before: "", language, text })).toMatch(says);
});

test("a shown answer matches what was printed but for times, versions, ids, widths and what `…` leaves out", () => {
  const isShown = (shown: string, printed: string) => patternOf(shown).test(normalised(printed));
  expect(isShown("NAME    FOR\nhost-1  15 s", "NAME  FOR\nhost-1  7.0 s\n")).toBe(true);
  expect(isShown("NAME    FOR\nhost-1  15 s", "NAME  FOR\nhost-2  7.0 s\n")).toBe(false);
  expect(isShown("acks 1/2, slowest … 3 ms", "acks 1/2, slowest proxy-1 14 ms\n")).toBe(true);
  expect(isShown("acks 1/2, slowest … 3 ms", "acks 2/2, slowest proxy-1 14 ms\n")).toBe(false);
  expect(isShown("a\n…\nd", "a\nb\nc\nd\n")).toBe(true);
  expect(isShown("a\n…\nd", "a\nd\n")).toBe(true);
  expect(isShown("a\n…", "b\n")).toBe(false);
  expect(isShown("a", "a\nb\n")).toBe(false);
  expect(isShown('{"a": [1, 2],\n "b": "c d", …}', '{"a":[1,2],"b":"c d","e":3}\n')).toBe(true);
  expect(isShown('{"a": 1, "b": 2}', '{"a":1,"b":3}\n')).toBe(false);
});

test("a console block is commands with their answers, an sh block commands", () => {
  expect(exchangesOf("$ a \\\n  b\nx\n\ny\n$ c")).toEqual([
    { command: "a b", output: "x\n\ny" },
    { command: "c", output: "" },
  ]);
  expect(() => exchangesOf("x")).toThrow(/begins with/);
  expect(commandsOf("# what\na \\\n  b   # why\n\nc")).toEqual(["a b   # why", "c"]);
});
