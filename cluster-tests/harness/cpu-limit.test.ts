import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";

const LIMIT = new URL("cpu-limit.ts", import.meta.url).href;

test("a limit leaves no control group behind when who set it exits without lifting it, as at Ctrl-C", async () => {
  const slow = spawn("sleep", ["60"], { stdio: "ignore" });
  onTestFinished(() => void slow.kill("SIGKILL"));
  const script = `import { limitCpu } from "${LIMIT}"; limitCpu([${slow.pid}], 0.5); process.exit(0);`;
  const setter = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
  expect(await once(setter, "exit")).toEqual([0, null]);
  for (const folder of ["/sys/fs/cgroup", "/sys/fs/cgroup/cpu"])
    expect(existsSync(`${folder}/gv-${slow.pid}`)).toBe(false);
});
