import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockState, StateLockedError } from "./state-lock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-lock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

it("lockState() refuses a folder that is locked, until it is released", () => {
  const lock = lockState(folder);
  expect(() => lockState(folder)).toThrow(StateLockedError);
  lock.release();
  lockState(folder).release();
});

it("lockState() is given back by the system when its process is killed", () => {
  const module = new URL("./state-lock.ts", import.meta.url).href;
  const script = `(await import("${module}")).lockState(process.argv[1]); process.kill(process.pid, "SIGKILL");`;
  const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script, folder]);
  expect(killed.signal).toBe("SIGKILL");
  lockState(folder).release();
});
