// Alone app: an app that relies on everything being in a single process: it locks a file, and dies if another process has it. What it went
// through it writes down outside of its folder, by the machine's clock, so that a test sees lifetimes that nobody told it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppFolder, AppSettings } from "./app-folder.ts";

/** Its first stamp is from when its process began; ARRIVALS is the file of stamps. */
const SERVER = `
const { appendFileSync, readFileSync, writeFileSync, unlinkSync } = require("node:fs");
const { createServer } = require("node:http");
const { HOST, PORT, BEHAVIOUR, ARRIVALS, GRAPEVINE_VM } = process.env;
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const stamp = (what, atMs = nowMs()) => appendFileSync(ARRIVALS, [what, GRAPEVINE_VM, atMs].join(" ") + "\\n");
stamp("begin", nowMs() - process.uptime() * 1000);
process.on("exit", () => stamp("end"));
const LOCK = ARRIVALS + ".lock";
const isAlive = (pid) => {
  try { process.kill(pid, 0); return true; } catch { return false; }
};
try {
  writeFileSync(LOCK, String(process.pid), { flag: "wx" });
} catch {
  if (isAlive(Number(readFileSync(LOCK, "utf8")))) {
    stamp("locked");
    console.error("fatal: another process has the lock");
    process.exit(9);
  }
  writeFileSync(LOCK, String(process.pid));
}
if (BEHAVIOUR === "crash") {
  console.error("fatal: no database");
  unlinkSync(LOCK);
  process.exit(7);
}
let isSaid = false;
const server = createServer((request, response) => {
  if (request.url === "/healthz") {
    response.statusCode = BEHAVIOUR === "unhealthy" ? 500 : 200;
    if (!isSaid) stamp("asked");
    isSaid = true;
    return response.end();
  }
  response.end(GRAPEVINE_VM);
});
process.on("SIGTERM", () => {
  stamp("stop");
  server.close(() => {
    unlinkSync(LOCK);
    stamp("end");
    // At once: until Node has ended what it has open would be taken for what the cluster took.
    process.kill(process.pid, "SIGKILL");
  });
  server.closeIdleConnections();
});
server.listen(Number(PORT), HOST);
`;

/** Of one VM, `process.hrtime` milliseconds; null: it did not come to that. */
export interface Lifetime {
  readonly vm: string;
  readonly beginMs: number;
  /** First asked whether it is healthy. */
  readonly askedMs: number | null;
  readonly stopMs: number | null;
  readonly endMs: number | null;
}

export class AloneApp {
  readonly #folder = mkdtempSync(join(tmpdir(), "grapevine-alone-"));
  readonly #stamps = join(this.#folder, "stamps");
  readonly app: AppFolder;

  constructor(app: AppFolder) {
    this.app = app;
    writeFileSync(join(app.path, "alone.js"), SERVER);
  }

  change(settings: AppSettings): void {
    this.app.change({
      command: ["node", "alone.js"],
      arrivals: this.#stamps,
      deploy: ['strategy = "handoff"'],
      ...settings,
    });
  }

  /** In the order in which they began. A process that was started again under its VM's name is another one. */
  lifetimes(): readonly Lifetime[] {
    const lines = readFileSync(this.#stamps, "utf8").trimEnd().split("\n");
    const all: { -readonly [Key in keyof Lifetime]: Lifetime[Key] }[] = [];
    for (const [what, vm = "", at] of lines.map((line) => line.split(" "))) {
      const atMs = Number(at);
      const last = all.findLast((one) => one.vm === vm);
      if (what === "begin") all.push({ vm, beginMs: atMs, askedMs: null, stopMs: null, endMs: null });
      else if (last === undefined) throw new Error(`${what} of ${vm}, which did not begin`);
      else if (what === "asked") last.askedMs = atMs;
      else if (what === "stop") last.stopMs = atMs;
      else if (what === "end") last.endMs = atMs;
    }
    return all.sort((left, right) => left.beginMs - right.beginMs);
  }

  /** Those that found another one alive, by their own word. */
  locked(): readonly string[] {
    return readFileSync(this.#stamps, "utf8")
      .split("\n")
      .filter((line) => line.startsWith("locked"));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Those that began before another one had ended. */
export function overlaps(lifetimes: readonly Lifetime[]): readonly string[] {
  return lifetimes.flatMap(({ vm, beginMs }, index) => {
    const running = lifetimes.slice(0, index).filter(({ endMs }) => endMs === null || endMs > beginMs);
    return running.map(
      (one) =>
        `${vm} began ${one.endMs === null ? "" : `${one.endMs - beginMs} ms `}before ${one.vm} had ended`,
    );
  });
}
