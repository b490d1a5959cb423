// The pages, gone through as their readers do: what can be run of their blocks is run against a real cluster, and prints what they show.

import { afterAll, expect, test } from "vitest";
import { shapeFaults, shapeIn } from "../docs/answer-shape.ts";
import { type Block, blocksOf, codeOf, PAGES, ROOT, readPage } from "../docs/blocks.ts";
import { notRunOf, SCRIPTS, scriptOf } from "../docs/not-run.ts";
import { PageSession } from "../docs/page-session.ts";
import { ReadersMachine } from "../docs/readers-machine.ts";
import { commandsOf } from "../docs/shell-lines.ts";
import { startCommand } from "../harness/command.ts";

const RUN = ["sh", "console", "sql"];
const runnable = (page: string): readonly Block[] => blocksOf(page).filter(isRunnable);
const pages = PAGES.filter((page) => runnable(page).length > 0);

function isRunnable({ language, text }: Block): boolean {
  return RUN.includes(language) && text.split("\n").some((line) => notRunOf(line.trim()) === null);
}

let machine: ReadersMachine | null = null;
afterAll(() => machine?.stop());

/** What a page does to apps or members another page would see. */
const TOUCHES =
  /^(?:\$ )?(?:kill -(?:KILL|TERM)|(?:npx )?grapevine (?:deploy|destroy|scale|restart|traffic set)) /m;
let isTouched = false;

/** One that nobody has touched, for who touches it and shows what comes of it: releases and epochs count from 1 there. */
async function machineFor(blocks: readonly Block[]): Promise<ReadersMachine> {
  const touching = blocks.filter(({ text }) => TOUCHES.test(text));
  if (machine !== null && isTouched && touching.some(({ language }) => language === "console")) {
    await machine.stop();
    machine = null;
    isTouched = false;
  }
  isTouched ||= touching.length > 0;
  machine ??= await ReadersMachine.start();
  return machine;
}

/** By the names that docs/cli.md gives them, below `--json`. */
const ANSWERS = {
  "deploy --plan": "deploy app.toml --plan",
  explain: "explain",
  history: "history hello",
  "traffic get": "traffic get hello",
  "status APP": "status hello",
  members: "members",
  voters: "voters",
  "registers backup": "registers backup apps.json",
  "entry put": "entry put other app.toml",
  "entry get": "entry get shape",
  "status --hosts": "status --hosts",
  diff: "diff host-1 host-2",
  why: "why hello-v1-1",
  "debug bundle": "debug bundle",
  doctor: "doctor",
};

test("answers in JSON have the keys that docs/cli.md names, and no others", async () => {
  const [, page = ""] = readPage("docs/cli.md").split("## `--json`");
  const here = await machineFor([]);
  isTouched = true;
  const folder = here.newFolder();
  const setUp = "grapevine deploy app.toml && grapevine entry put shape app.toml";
  expect(await here.run(setUp, folder)).toMatchObject({ code: 0 });
  const faults = Object.entries(ANSWERS).map(async ([name, command]) => {
    const { stdout } = await here.run(`grapevine ${command} --json`, folder);
    return shapeFaults(shapeIn(page, name), JSON.parse(stdout), name);
  });
  expect((await Promise.all(faults)).flat()).toEqual([]);
  expect(shapeFaults(shapeIn(page, "dev"), here.view, "dev")).toEqual([]);
});

test.each(pages)("what %s shows is what a reader gets", async (page) => {
  const session = new PageSession(await machineFor(runnable(page)));
  for (const block of blocksOf(page)) {
    const fault = await session.go(block).then(
      () => null,
      (error: unknown) => `${block.place}: ${error}`,
    );
    expect(fault).toBeNull();
  }
});

/** Each script of package.json that a page gives options, with all of these. */
function optionsOfScripts(): ReadonlyMap<string, ReadonlySet<string>> {
  const options = new Map<string, Set<string>>();
  for (const page of PAGES) {
    const shell = blocksOf(page).filter(({ language }) => language === "sh");
    for (const line of [...shell.flatMap(({ text }) => commandsOf(text)), ...codeOf(page)]) {
      const script = scriptOf(line);
      const given = script?.args.filter((word) => word.startsWith("--")) ?? [];
      if (script === null || given.length === 0) continue;
      options.set(script.name, new Set([...(options.get(script.name) ?? []), ...given]));
    }
  }
  return options;
}

test("scripts know the options that the pages give them", async () => {
  const scripts = [...optionsOfScripts()];
  expect(scripts.map(([name]) => name)).toContain("sim");
  const unknown = scripts.map(async ([name, options]) => {
    const command = `cd "${ROOT}" && ${SCRIPTS[name]?.replace(/^node /, `"${process.execPath}" `)} --help`;
    const { stdout } = await startCommand("bash", ["-c", command], { input: "" }).result;
    return [...options]
      .filter((option) => option !== "--help" && !stdout.includes(option))
      .map((option) => `${name} ${option}`);
  });
  expect((await Promise.all(unknown)).flat()).toEqual([]);
});
