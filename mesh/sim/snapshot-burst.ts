// Snapshot burst: a process that writes entries of a few owners as fast as it can, keeps a snapshot of them, and says what is
// on disk, one JSON line a batch, until it is killed. Run by the snapshot's tests: `node snapshot-burst.ts FOLDER RUN`.

import { writeSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import { ownerId } from "../core/ids.ts";
import { OwnState } from "../core/own-state.ts";
import { ALL_PROTECTIONS } from "../core/protections.ts";
import { Store } from "../core/store.ts";
import type { Version } from "../core/version.ts";
import { Snapshot } from "../io/snapshot.ts";
import { seededRandom } from "./seeded-random.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

/** Of one owner: at least this is on disk. */
export interface BurstLine {
  readonly owner: string;
  readonly version: Version;
}

const OWNERS = 4;
const KEYS = 200;
const VALUE_BYTES_MAX = 2_000;

async function burst(stateDir: string, run: number): Promise<void> {
  const random = seededRandom(run);
  const store = new Store(standInCrypto(ownerId("reader")), {
    protections: ALL_PROTECTIONS,
    isControl: () => false,
  });
  const snapshot = await Snapshot.open(
    { stateDir, cluster: "burst", timing: { intervalMs: 0, retryFirstMs: 1 } },
    {
      logger: pino({ level: "warn" }, pino.destination(2)),
      onWritten: ({ deltas }) => {
        const lines = deltas.map(({ owner, start, to }) => ({ owner, version: { ...start, counter: to } }));
        writeSync(1, `${JSON.stringify(lines satisfies BurstLine[])}\n`);
      },
    },
  );
  for (const delta of snapshot.takeStates()) store.restore(delta);
  snapshot.begin(store);
  const owners = Array.from({ length: OWNERS }, (_, at) => startOwner(`owner-${at}`, run));
  for (;;) {
    for (const own of owners) {
      const key = `key-${Math.floor(random() * KEYS)}`;
      const value = random() < 0.2 ? null : new Uint8Array(Math.floor(random() * VALUE_BYTES_MAX)).fill(run);
      own.write(key, value);
      const delta = own.takeGossip();
      if (delta !== undefined) store.apply(delta);
    }
    await turn();
  }
}

function startOwner(name: string, incarnation: number): OwnState {
  const owner = ownerId(name);
  const own = new OwnState(owner, { incarnation, startId: incarnation }, standInCrypto(owner));
  own.announce();
  return own;
}

const [stateDir = "", run = ""] = process.argv.slice(2);
await burst(stateDir, Number(run));
