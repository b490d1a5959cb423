// With real processes: what a mark rests on is what the kernel does for them.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isThere, marksIn, untilGone } from "./arm-mark.ts";

const MARK = "arm-proxy-1-0123abcd.sock";
const LISTEN = `require("node:net").createServer(s => s.resume()).listen(process.argv[1], () => console.log("listens"))`;

let folder: string;
let arm: ChildProcess;
beforeEach(async () => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), "grapevine-mark-")));
  const stdio = ["ignore", "pipe", "inherit"] as const;
  arm = spawn(process.execPath, ["-e", LISTEN, path.join(folder, MARK)], { stdio: [...stdio] });
  if (arm.stdout !== null) await once(arm.stdout, "data");
});
afterEach(() => {
  arm.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** Resolves to whether that process was found gone by the time it was killed, and after. */
async function goneBeforeAndAfterKill(): Promise<readonly boolean[]> {
  let isGone = false;
  const gone = untilGone(folder, MARK, AbortSignal.timeout(60_000)).then(() => {
    isGone = true;
  });
  const isThereNow = await isThere(folder, MARK);
  const before = isGone;
  arm.kill("SIGKILL");
  await gone;
  return [isThereNow, before, isGone];
}

test("a process is there until it is killed, and then it leaves nothing", async () => {
  expect(await marksIn(folder)).toEqual([MARK]);
  expect(await goneBeforeAndAfterKill()).toEqual([true, false, true]);
  expect(readdirSync(folder)).toEqual([]);
});

test("a process that is stopped is there, and gone once it is killed", async () => {
  arm.kill("SIGSTOP");
  expect(await goneBeforeAndAfterKill()).toEqual([true, false, true]);
});

test.runIf(process.platform === "linux")(
  "a process whose mark was deleted is found as long as it lives",
  async () => {
    rmSync(path.join(folder, MARK));
    expect(await marksIn(folder)).toEqual([MARK]);
    expect(await goneBeforeAndAfterKill()).toEqual([false, false, true]);
    expect(await marksIn(folder)).toEqual([]);
  },
);
