// Not run: command lines of the pages that the test of the pages does not run, each with the reason, and what is checked of it instead.
// All others it runs against a real cluster.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./blocks.ts";
import { wordsOf } from "./shell-lines.ts";

interface NotRun {
  readonly begins: RegExp;
  readonly why: string;
  /** Null: nothing is wrong. */
  readonly fault: (command: string) => string | null;
}

/** Its options are held against the program's own, as those of every command of `grapevine` that a page names. */
const optionsOnly = () => null;

const NOT_RUN: readonly NotRun[] = [
  {
    begins: /^npm (?:ci|install)$/,
    why: "it makes the folder anew that the test runs from; CI begins with it",
    fault: () => null,
  },
  {
    begins: /^npm (?:test|run) ?/,
    why: "minutes each; CI runs `npm test`, and tests run the others",
    fault: scriptFault,
  },
  { begins: /^(?:\w+=\w+ )*npx vitest /, why: "a test that runs tests", fault: pathFault },
  {
    begins: /^docker(?:-compose)? /,
    why: "the tests of the project `container` build and run the image",
    fault: pathFault,
  },
  {
    begins: /^(?:npx )?grapevine (?:agent|gate|proxy|doctor) --config /,
    why: "a member of a cluster of three machines with addresses of their own; the files are read",
    fault: optionsOnly,
  },
  {
    begins: /^(?:npx )?grapevine (?:voters init|registers restore) /,
    why: "needs the root key of a cluster without voters; tests of voters run it",
    fault: optionsOnly,
  },
  {
    begins: /^(?:npx )?grapevine (?:demo|bench)/,
    why: "minutes; tests of their own run them",
    fault: optionsOnly,
  },
  {
    begins: /^(?:npx )?grapevine dev\b/,
    why: "it is the cluster that all others are run against",
    fault: optionsOnly,
  },
  {
    begins: /^(?:npx )?grapevine deploy app\.toml --api http:\/\/127\.0\.0\.1:7900$/,
    why: "for the three machines above it; without --api it is run",
    fault: optionsOnly,
  },
];

/** Null: it is to be run. */
export function notRunOf(command: string): NotRun | null {
  return NOT_RUN.find(({ begins }) => begins.test(command)) ?? null;
}

/** The script that a line of npm names, and what follows `--`; null: no such line. */
export function scriptOf(
  command: string,
): { readonly name: string; readonly args: readonly string[] } | null {
  const [npm, verb, ...words] = wordsOf(command);
  if (npm !== "npm" || (verb !== "run" && verb !== "test")) return null;
  const [name = "", ...rest] = verb === "test" ? ["test", ...words] : words.filter((word) => word !== "-s");
  return { name, args: rest[0] === "--" ? rest.slice(1) : rest };
}

/** Of package.json. */
export const SCRIPTS: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
).scripts;

function scriptFault(command: string): string | null {
  const script = scriptOf(command);
  if (script !== null && Object.hasOwn(SCRIPTS, script.name)) return null;
  return "package.json has no such script";
}

/** What names a path of ours is there. */
function pathFault(command: string): string | null {
  const paths = wordsOf(command).filter((word) => /^(?:docker|docs|cluster-tests|node|mesh)\//.test(word));
  const gone = paths.filter((path) => !existsSync(join(ROOT, path)));
  return gone.length === 0 ? null : `there is no ${gone.join(", no ")}`;
}
