import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { completionsOf, SHELLS, type Shell } from "./completions.ts";
import { createProgram } from "./program/run-command.ts";

const program = createProgram(() => undefined);

/** Of a script, for as long as the test lasts. */
function scriptFile(shell: Shell): string {
  const folder = mkdtempSync(join(tmpdir(), "completions-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "grapevine");
  writeFileSync(file, completionsOf(program, shell));
  return file;
}

/** What bash would offer for the last of `words`. */
function offeredByBash(...words: readonly string[]): readonly string[] {
  const file = scriptFile("bash");
  const script = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _grapevine; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", script, file, "grapevine", ...words], {
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.trim().split("\n");
}

describe("completions", () => {
  it("offer in bash the commands, those below one, and its options, wherever names stand between", () => {
    expect(offeredByBash("ex")).toEqual(["explain"]);
    expect(offeredByBash("host", "")).toEqual(
      expect.arrayContaining(["cordon", "uncordon", "fence", "forget"]),
    );
    expect(offeredByBash("host", "fence", "host-1", "--j")).toEqual(["--json"]);
    expect(offeredByBash("deploy", "app.toml", "--pl")).toEqual(["--plan"]);
    expect(offeredByBash("completions", "")).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
    // An app may bear the name of a command.
    expect(offeredByBash("destroy", "host", "--det")).toEqual(["--detach"]);
  });

  it.each(SHELLS)("name in %s every command that there is", (shell) => {
    const script = completionsOf(program, shell);
    const names = program.commands.flatMap((command) => [command, ...command.commands]);
    for (const command of names) expect(script).toContain(command.name());
  });

  it.each(SHELLS)("are a script that %s can read, where it is installed", (shell) => {
    const checked = spawnSync(shell, ["-n", scriptFile(shell)], { encoding: "utf8" });
    // bash is on every machine that runs the tests; the two others are on some.
    if (checked.error !== undefined && shell !== "bash") return;
    expect({ status: checked.status, stderr: checked.stderr }).toEqual({ status: 0, stderr: "" });
  });
});
