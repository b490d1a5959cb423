// Page session: the blocks of one page as its reader goes through them, from the top, at a machine.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandResult, RunningCommand } from "../harness/command.ts";
import { until } from "../harness/observe.ts";
import type { Block } from "./blocks.ts";
import { normalised, patternOf } from "./expected-output.ts";
import { notRunOf } from "./not-run.ts";
import type { ReadersMachine } from "./readers-machine.ts";
import { commandsOf, type Exchange, exchangesOf, grapevineWords, withoutComment } from "./shell-lines.ts";

/** They look and change nothing: asked again until the cluster is as the page says. */
const LOOKS =
  /^(?:status|members|vms|routes|logs|entries|entry get|explain|history|why|diff|query|voters|traffic get|doctor)(?: (?!add|init|remove)|$)/;
/** They end when the reader ends them. */
const FOLLOWS = /^(?:watch\b|.* (?:-w|--watch|-f|--follow)\b)/;

interface Live {
  readonly running: RunningCommand;
  /** What it must have printed by now. */
  readonly shown: string;
}

export class PageSession {
  readonly #machine: ReadersMachine;
  readonly #folder: string;
  #live: Live | null = null;

  constructor(machine: ReadersMachine) {
    this.#machine = machine;
    this.#folder = machine.newFolder();
  }

  /** Rejects with what was printed when that is not what the block shows. */
  async go({ language, text }: Block): Promise<void> {
    if (language === "toml") this.#write(text);
    if (language === "sh") for (const command of commandsOf(text)) await this.#do(command);
    if (language === "sql") for (const query of queriesOf(text)) await this.#machine.query(query);
    if (language === "console") for (const exchange of exchangesOf(text)) await this.#exchange(exchange);
    await this.#end();
  }

  /** `# app.toml` in its first line is the file's name. */
  #write(text: string): void {
    const [, name] = /^# ([\w-]+\.toml)\b/.exec(text) ?? [];
    if (name !== undefined) writeFileSync(join(this.#folder, name), text);
  }

  /** Nothing is shown of its answer: it is done. */
  async #do(command: string): Promise<void> {
    const parts = withoutComment(command).split(" && ");
    if (parts.some((part) => notRunOf(part) !== null)) return;
    if (isFollower(command)) {
      await this.#follow({ command, output: "…" });
      return this.#end();
    }
    const result = await this.#machine.run(command, this.#folder);
    if (result.code !== 0) throw new Error(`\`${command}\` ended with ${result.code}:\n${printed(result)}`);
  }

  async #exchange(exchange: Exchange): Promise<void> {
    const { command, output } = exchange;
    if (notRunOf(withoutComment(command)) !== null) return;
    if (/^kill |# .*in another terminal/.test(command)) return this.#beside(exchange);
    await this.#end();
    if (isFollower(command)) return this.#follow(exchange);
    const look = async (): Promise<true> => {
      const told = normalised(printed(await this.#machine.run(command, this.#folder)));
      if (patternOf(output).test(told)) return true;
      throw new Error(`\`${command}\` printed\n${told}`);
    };
    await (isLook(command) ? until("what the page shows", look) : look());
  }

  /** What is shown below it a command prints that was started before and goes on. */
  async #beside({ command, output }: Exchange): Promise<void> {
    await this.#do(command);
    if (this.#live === null || output === "") return;
    await this.#showing({ ...this.#live, shown: `${this.#live.shown}\n${output}` });
  }

  async #follow({ command, output }: Exchange): Promise<void> {
    await this.#showing({ running: this.#machine.start(command, this.#folder), shown: output });
  }

  async #showing(live: Live): Promise<void> {
    this.#live = live;
    const pattern = patternOf(live.shown, { isBegin: true });
    await until("what the page shows", () => {
      const told = normalised(live.running.printed());
      if (told.trim() !== "" && pattern.test(told)) return true;
      throw new Error(`it printed\n${told}`);
    });
  }

  /** Ctrl-C, of what goes on until then. */
  async #end(): Promise<void> {
    const live = this.#live;
    this.#live = null;
    if (live === null) return;
    process.kill(-(live.running.process.pid ?? Number.NaN), "SIGINT");
    await live.running.result;
  }
}

function printed({ stdout, stderr }: CommandResult): string {
  return stdout + stderr;
}

function isLook(command: string): boolean {
  return LOOKS.test(grapevineWords(command)?.join(" ") ?? "");
}

function isFollower(command: string): boolean {
  return FOLLOWS.test(grapevineWords(command)?.join(" ") ?? "") || /^curl -\w*N/.test(command);
}

/** One a line, with what its comment says to the reader taken off. */
function queriesOf(text: string): readonly string[] {
  return text.split("\n").map((line) => line.replace(/\s+--.*$/, "").trim());
}
