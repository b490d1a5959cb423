import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { vmName } from "../../mesh/index.ts";
import { describeDriverCompliance } from "./driver-compliance.ts";
import { FakeDriver, FakeMachine } from "./fake-driver.ts";
import { readLastLines } from "./output-tail.ts";
import { ProcessDriver } from "./process-driver.ts";
import { listProcesses, parseStat, readProcess } from "./process-table.ts";
import type { VmHandle } from "./vm-driver.ts";
import { outputLine } from "./wait-for-output.ts";

const never = new AbortController().signal;

const runs = `console.log("ready"); setInterval(() => {}, 1e6)`;
const deaf = `process.on("SIGTERM", () => {}); ${runs}`;

describeDriverCompliance("ProcessDriver", {
  newDriver: () => new ProcessDriver(),
  programs: {
    runs: ["node", "-e", runs],
    "ignores-stop": ["node", "-e", deaf],
    "prints-and-exits": ["sh", "-c", "echo one; echo two >&2; exit 3"],
    missing: ["no-such-command"],
  },
  ready: async (folder) => {
    await outputLine(folder, "ready");
  },
});

const machine = new FakeMachine();
describeDriverCompliance("FakeDriver", {
  newDriver: () => new FakeDriver(machine),
  programs: {
    runs: ["run"],
    "ignores-stop": ["ignore-stop"],
    "prints-and-exits": ["exit", "3", "one", "two"],
    missing: ["no-such-command"],
  },
  ready: async () => {},
});

describe("ProcessDriver", () => {
  let folder = "";
  let driver: ProcessDriver;
  const started: VmHandle[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "grapevine-process-"));
    await mkdir(join(folder, "app"));
    driver = new ProcessDriver();
  });
  afterEach(async () => {
    for (const handle of started.splice(0)) {
      await driver.stop(handle, { stopSignal: "SIGKILL", timeoutMs: 0, signal: never });
    }
    await rm(folder, { recursive: true });
  });

  async function start(command: readonly string[], env: Record<string, string> = {}): Promise<VmHandle> {
    const handle = await driver.start({ vm: vmName("hello-v1-1"), command, env, folder });
    started.push(handle);
    return handle;
  }

  it("stop() ends grandchildren too, also one that ignores the signal after its parent has gone", async () => {
    const child = `${deaf.replace("ready", "child")}`;
    const parent = `require("child_process").spawn("node", ["-e", ${JSON.stringify(child)}], { stdio: "inherit" })
      .on("spawn", function () { console.log("pid " + this.pid) }); setInterval(() => {}, 1e6)`;
    const handle = await start(["node", "-e", parent]);
    const pid = Number((await outputLine(folder, "pid")).slice(4));
    await outputLine(folder, "child");
    expect(readProcess(pid)?.session).toBe(handle.identity["pid"]);
    const exit = await driver.stop(handle, { stopSignal: "SIGTERM", timeoutMs: 100, signal: never });
    expect(exit).toEqual({ code: null, signal: "SIGTERM" });
    expect(readProcess(pid)?.ended ?? true).toBe(true);
  });

  it("stop() ends what left the session, and what was left by one that ended by itself", async () => {
    const child = (name: string) => `node -e 'console.log("${name}"); setInterval(() => {}, 1e6)' &`;
    const handle = await start(["sh", "-c", `setsid ${child("daemon")} ${child("child")} exit 0`]);
    await outputLine(folder, "daemon");
    await outputLine(folder, "child");
    await driver.waitForExit(handle, never);
    const left = () =>
      listProcesses().filter((row) => !row.ended && row.startTime >= Number(handle.identity["startTime"]));
    const sleepers = await runningWith(`GRAPEVINE_VM_FOLDER=${folder}`, left);
    expect(sleepers).toHaveLength(2);
    const exit = await driver.stop(handle, { stopSignal: "SIGTERM", timeoutMs: 5_000, signal: never });
    expect(exit).toEqual({ code: 0, signal: null });
    expect(await runningWith(`GRAPEVINE_VM_FOLDER=${folder}`, left)).toEqual([]);
  });

  it("a zombie has exited, and its exit code is read from its row", async () => {
    // An agent that starts a VM and is killed: the VM's new parent does not reap it, or it does and the code is lost.
    const agent = `
      import { ProcessDriver } from ${JSON.stringify(join(import.meta.dirname, "process-driver.ts"))};
      const handle = await new ProcessDriver().start({ vm: "hello-v1-1", command: ["sh", "-c", "read x < go; exit 7"],
        env: {}, folder: ${JSON.stringify(folder)} });
      process.stdout.write(JSON.stringify(handle));
      process.kill(process.pid, "SIGKILL");`;
    await once(spawn("sh", ["-c", "mkfifo go"], { cwd: join(folder, "app") }), "exit");
    const child = spawn(process.execPath, ["--input-type=module", "-e", agent]);
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += String(chunk);
    });
    await once(child, "close");
    const handle = JSON.parse(text) as VmHandle;
    started.push(handle);
    expect(await driver.inspect(handle)).toEqual({ running: true });
    await writeFile(join(folder, "app", "go"), "now\n");
    const exit = await driver.waitForExit(handle, never);
    const isZombie = readProcess(Number(handle.identity["pid"]))?.ended === true;
    expect(exit).toEqual({ code: isZombie ? 7 : null, signal: null });
  });

  it("never signals another process that has the pid now", async () => {
    const handle = await start(["node", "-e", runs]);
    for (const change of [{ startTime: 1 }, { bootId: "another boot" }, { pid: 1 }, { pid: "x" }]) {
      const other = { ...handle, identity: { ...handle.identity, marker: "X=1", ...change } };
      expect(await driver.inspect(other as VmHandle)).toMatchObject({ running: false });
      await driver.stop(other as VmHandle, { stopSignal: "SIGKILL", timeoutMs: 0, signal: never });
    }
    expect(await driver.inspect(handle)).toEqual({ running: true });
  });

  it("a VM runs on while its agent cannot read /proc for want of file descriptors", async () => {
    const handle = await start(["node", "-e", runs]);
    const blind = `
      import { openSync, closeSync } from "node:fs";
      import { ProcessDriver } from ${JSON.stringify(join(import.meta.dirname, "process-driver.ts"))};
      const driver = new ProcessDriver();
      const handle = ${JSON.stringify(handle)};
      const open = [];
      try { for (;;) open.push(openSync("/dev/null")); } catch {}
      const looked = await driver.inspect(handle).catch((error) => error.code);
      const gone = new AbortController();
      const waited = driver.waitForExit(handle, gone.signal).catch((error) => error.message);
      // Ours are open again when it looks next.
      open.forEach(closeSync);
      gone.abort(new Error("it runs still"));
      console.log(JSON.stringify([looked, await waited]));`;
    const { stdout } = spawnSync(
      "sh",
      ["-c", 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, blind],
      { encoding: "utf8" },
    );
    expect(JSON.parse(stdout)).toEqual(["EMFILE", "The operation was aborted"]);
    expect(await driver.inspect(handle)).toEqual({ running: true });
  });

  it("gives the VM its own environment, with our Node first in PATH, and the app's folder to run in", async () => {
    process.env["SECRET_OF_THE_AGENT"] = "1";
    const env = { PORT: "20001", GREETING: "hi there" };
    const handle = await start(["sh", "-c", "pwd; env"], env).finally(() => {
      delete process.env["SECRET_OF_THE_AGENT"];
    });
    await driver.waitForExit(handle, never);
    const lines = await readLastLines(join(folder, "output.log"), 100);
    expect(lines[0]).toBe(join(folder, "app"));
    expect(lines).toEqual(expect.arrayContaining(["PORT=20001", "GREETING=hi there"]));
    expect(lines.find((line) => line.startsWith("PATH="))).toContain(`PATH=${dirname(process.execPath)}:`);
    expect(lines.filter((line) => line.startsWith("SECRET"))).toEqual([]);
  });

  it("says what is wrong with a command, and what to write", async () => {
    const app = join(folder, "app");
    await writeFile(join(app, "plain.sh"), "echo hi\n");
    await writeFile(join(app, "lost.sh"), "#!/no/such/interpreter\n");
    await chmod(join(app, "lost.sh"), 0o755);
    await expect(start(["./plain.sh"])).rejects.toThrow(/^not executable: .*plain.sh; run "chmod \+x/);
    await expect(start(["lost.sh"])).rejects.toThrow('it is in the app\'s folder: write "./lost.sh"');
    await expect(start(["./lost.sh"])).rejects.toThrow("the interpreter that its first line names");
    await expect(start(["./none"])).rejects.toThrow("./none is not in the app's folder");
    await expect(start(["/none"])).rejects.toThrow("/none is not on this host");
    await expect(start([""])).rejects.toThrow("the command is empty");
    await expect(start([])).rejects.toThrow("the command is empty");
    await expect(start(["."])).rejects.toThrow("command not found");
    await expect(start(["a\0b"])).rejects.toThrow("command not found");
    await expect(start(["sh", "a\0b"])).rejects.toMatchObject({ code: "not-executable" });
  });

  it("runs a script without a first line, as a shell would", async () => {
    await writeFile(join(folder, "app", "plain.sh"), "exit 5\n");
    await chmod(join(folder, "app", "plain.sh"), 0o755);
    const handle = await start(["./plain.sh"]);
    expect(await driver.waitForExit(handle, never)).toEqual({ code: 5, signal: null });
  });

  it("takes an unknown stop signal for SIGTERM", async () => {
    const handle = await start(["sleep", "1000"]);
    const exit = await driver.stop(handle, { stopSignal: "SIGNONSENSE", timeoutMs: 60_000, signal: never });
    expect(exit).toEqual({ code: null, signal: "SIGTERM" });
  });
});

async function runningWith(line: string, rows: () => readonly { pid: number }[]): Promise<number[]> {
  const found: number[] = [];
  for (const { pid } of rows()) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (environment.split("\0").includes(line)) found.push(pid);
  }
  return found;
}

describe("parseStat()", () => {
  it("reads a row whose command holds spaces and parentheses", () => {
    const rest = `S 1 42 43 ${Array.from({ length: 45 }, (_, i) => i).join(" ")} 1792`;
    expect(parseStat(`7 (a) b (c)) ${rest}`)).toMatchObject({ pid: 7, ended: false, group: 42, session: 43 });
    expect(parseStat(`7 (Z) ${rest.replace("S", "Z")}`)).toMatchObject({ ended: true, waitStatus: 1792 });
  });

  it("reads our own row, and makes nothing of nonsense", () => {
    expect(readProcess(process.pid)).toMatchObject({ pid: process.pid, ended: false });
    expect(readProcess(2 ** 30)).toBeNull();
    for (const text of ["", ")", "7 (x)", "7 (x) S 1"]) expect(parseStat(text)).toBeNull();
  });
});
