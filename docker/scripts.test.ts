// The scripts of this folder where something is missing: they change nothing, and say what is missing and what to do.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const NOBODY = "unix:///nobody/listens/here.sock";
/** What the scripts need before they look for Docker. */
const TOOLS = ["bash", "dirname", "sed", "head", "uname", "id"];

let tools: string;
beforeEach(() => {
  tools = mkdtempSync(join(tmpdir(), "grapevine-tools-"));
  for (const tool of TOOLS) {
    const file = execFileSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).trim();
    symlinkSync(file, join(tools, tool));
  }
});
afterEach(() => rmSync(tools, { recursive: true }));

function run(script: string, env: Record<string, string>): Promise<{ code: number | null; said: string }> {
  const child = spawn(join(FOLDER, script), [], { env: { ...process.env, ...env }, stdio: "pipe" });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, said })));
}

describe.each(["start-engine", "make-base-image", "build-image"])("docker/%s", (script) => {
  test("refuses where there is no docker command, and says how to get one", async () => {
    const { code, said } = await run(script, { PATH: tools });
    expect(said).toMatch(new RegExp(`^${script}: .*there is no docker command: install Docker`));
    expect(code).toBe(1);
  });

  test("refuses where no engine answers", async () => {
    const { code, said } = await run(script, { DOCKER_HOST: NOBODY });
    expect(said).toMatch(
      new RegExp(`^${script}: (no Docker engine answers|nothing answers at DOCKER_HOST=|there is no docker)`),
    );
    expect(code).toBe(1);
  });
});
