import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { compareVersions, type Version } from "../core/version.ts";
import { seededRandom } from "../sim/seeded-random.ts";
import { smallDisk } from "../sim/small-disk.ts";
import type { BurstLine } from "../sim/snapshot-burst.ts";
import { newOwner, SnapshotFolder, write } from "../sim/snapshot-harness.ts";

/** Writes as fast as it can, until it is killed. */
const BURST = fileURLToPath(new URL("../sim/snapshot-burst.ts", import.meta.url));

let folder: SnapshotFolder;

beforeEach(() => {
  folder = new SnapshotFolder();
});

afterEach(() => folder.remove());

test("a full disk is told once, counted, and harms nobody; when there is room the snapshot goes on", async (context) => {
  const disk = smallDisk(folder.path, "full");
  if (disk === null) return context.skip("only root may mount a small disk");
  try {
    const lines: string[] = [];
    const logger = pino({ level: "info" }, { write: (line: string) => lines.push(line) });
    const { store, snapshot, batches } = await folder.open({ stateDir: disk.folder, logger });
    const own = newOwner("owner-1");
    write(own, store, { a: new Uint8Array([1]) });
    await batches.next();
    disk.fail();
    for (let at = 0; at < 20; at += 1) write(own, store, { [`${at}`]: new Uint8Array(60_000).fill(at) });
    const failed = () => snapshot.counters().get("snapshot-failed") ?? 0;
    await expect.poll(failed, { timeout: 10_000 }).toBeGreaterThan(2);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 50, reason: expect.stringMatching(/full/) },
    ]);
    for (let at = 0; at < 20; at += 1) write(own, store, { [`${at}`]: null });
    disk.heal();
    expect(await batches.next()).toMatchObject({ deltas: [{ owner: "owner-1", to: 41 }] });
    await snapshot.stop();
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 50 }, { level: 30 }]);
    expect((await folder.open({ stateDir: disk.folder })).store.list("").map(({ key }) => key)).toEqual([
      "a",
    ]);
    await folder.stop();
  } finally {
    disk.remove();
  }
}, 30_000);

test("a file that may not grow any more is told once, and the process goes on", async () => {
  // In blocks of 512 bytes. At the limit the system also sends SIGXFSZ, which must not end us.
  const child = spawn(
    "sh",
    ["-c", 'ulimit -f 1024; exec "$0" "$@"', process.execPath, BURST, folder.path, "1"],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stderr });
  const [line] = (await once(lines, "line")) as [string];
  expect(JSON.parse(line)).toMatchObject({ level: 50, msg: expect.stringMatching(/snapshot fails/) });
  expect(child.exitCode).toBeNull();
  child.kill("SIGKILL");
  await closed;
  expect(child.signalCode).toBe("SIGKILL");
}, 30_000);

const KILLS = 30;
const LINES_BEFORE_KILL_MAX = 25;

/** Kills a burst after `lines` of its lines. Resolves to what it had confirmed by then. */
async function killedBurst(run: number, lines: number): Promise<readonly BurstLine[]> {
  const child = spawn(process.execPath, [BURST, folder.path, String(run)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const confirmed: BurstLine[] = [];
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    confirmed.push(...(JSON.parse(line) as BurstLine[]));
    seen += 1;
    // It runs on until the signal is there, wherever it then is.
    if (seen === lines) child.kill("SIGKILL");
  }
  await closed;
  expect(child.signalCode).toBe("SIGKILL");
  return confirmed;
}

test(`of a process that was killed in a burst of writes, ${KILLS} times, all that was confirmed is there and signed`, async () => {
  const seed = Number(process.env["SNAPSHOT_SEED"] ?? 1);
  const random = seededRandom(seed);
  const confirmed = new Map<OwnerId, Version>();
  for (let run = 1; run <= KILLS; run += 1) {
    for (const { owner, version } of await killedBurst(
      run,
      1 + Math.floor(random() * LINES_BEFORE_KILL_MAX),
    )) {
      confirmed.set(ownerId(owner), version);
    }
    const { store, outcomes, setAside } = folder.read("burst");
    expect({ setAside, outcomes: new Set(outcomes) }).toEqual({
      setAside: null,
      outcomes: new Set(["applied"]),
    });
    for (const [owner, version] of confirmed) {
      const head = store.head(owner);
      expect(head !== undefined && compareVersions(head, version) >= 0, `seed ${seed}, run ${run}`).toBe(
        true,
      );
    }
  }
}, 180_000);
