// docker/host with a stand-in for agent and gate: who is started again, who ends first, and with which code.

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, watch, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("./host", import.meta.url));
/** Says in a file what it is told; an agent ends with 3. */
const STAND_IN = `#!/bin/sh
word=$1
trap 'echo "$word ends" >>"$TOLD"; exit 3' TERM
echo "$word starts $$ $*" >>"$TOLD"
while [ -e "$TOLD" ]; do sleep 0.05; done
`;

let folder: string;
let host: ChildProcess;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-host-"));
  writeFileSync(join(folder, "grapevine"), STAND_IN);
  chmodSync(join(folder, "grapevine"), 0o755);
  writeFileSync(join(folder, "told"), "");
  const env = { PATH: `${folder}:${process.env["PATH"]}`, TOLD: join(folder, "told") };
  host = spawn(SCRIPT, ["agent.toml", "gate.toml"], { env, stdio: "ignore" });
});
afterEach(() => {
  host.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** Resolves to the lines so far, once it is true of them. */
async function told(isTrue: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
  const watching = new AbortController();
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  const look = async (): Promise<void> => {
    const lines = (await readFile(join(folder, "told"), "utf8")).split("\n").filter((line) => line !== "");
    if (isTrue(lines)) resolve(lines);
  };
  watch(join(folder, "told"), { signal: watching.signal }, () => void look());
  await look();
  const lines = await promise;
  watching.abort();
  return lines;
}

const starts = (lines: readonly string[], word: string): readonly string[] =>
  lines.filter((line) => line.startsWith(`${word} starts`));

function ended(): Promise<number | null> {
  return new Promise((resolve) => host.once("exit", (code) => resolve(code)));
}

test("a gate that is killed is started again beside the same agent", async () => {
  const before = await told((lines) => lines.length === 2);
  const [agent] = starts(before, "agent");
  const [gate = ""] = starts(before, "gate");
  expect(agent).toMatch(/ agent --stop-vms --config agent\.toml$/);
  expect(gate).toMatch(/ gate --config gate\.toml$/);
  process.kill(Number(gate.split(" ")[2]), "SIGKILL");
  const after = await told((lines) => starts(lines, "gate").length === 2);
  expect(starts(after, "agent")).toEqual([agent]);
  host.kill("SIGTERM");
  await ended();
});

test("SIGTERM ends the agent, then the gate, with the agent's code", async () => {
  await told((lines) => lines.length === 2);
  const code = ended();
  host.kill("SIGTERM");
  expect(await code).toBe(3);
  const lines = await told(() => true);
  expect(lines.slice(2)).toEqual(["agent ends", "gate ends"]);
});

test("an agent that ends by itself takes the gate with it", async () => {
  const [agent = ""] = starts(await told((lines) => lines.length === 2), "agent");
  const code = ended();
  process.kill(Number(agent.split(" ")[2]), "SIGTERM");
  expect(await code).toBe(3);
  expect((await told(() => true)).at(-1)).toBe("gate ends");
});
