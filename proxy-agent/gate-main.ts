// Gate main: `grapevine gate --config FILE`, from the file to a gate that listens, until a signal ends it.

import { rm } from "node:fs/promises";
import { flushCompileCache } from "node:module";
import path from "node:path";
import { makeStateFolder } from "../mesh/index.ts";
import { startGate } from "./gate.ts";
import { type GateConfig, readGateConfig } from "./gate-config.ts";
import { aborted } from "./io/end-of-life.ts";
import { type Log, runMember, writeReady } from "./io/run-member.ts";

/** What a supervisor or a test reads to find the gate: written once it listens, gone once it does not. */
const READY_FILE = "gate.json";

/** `argv` is what follows "gate". Resolves to the exit code once all is closed. */
export function runGate(argv: readonly string[]): Promise<number> {
  return runMember(
    {
      word: "gate",
      description: "Runs the gate of a host: the listener by which proxies reach its VMs, beside its agent.",
      end: "refuses what comes, finishes what runs for at most 10 s, exits 0. What it closed stays closed.",
      readConfig: readGateConfig,
      nameOf: ({ host }) => host,
      serve,
    },
    argv,
  );
}

async function serve(config: GateConfig, { logger }: Log, signal: AbortSignal): Promise<void> {
  makeStateFolder(config.stateDir, 0o700);
  const readyFile = path.join(config.stateDir, READY_FILE);
  await rm(readyFile, { force: true });
  const gate = await startGate(config, { logger });
  const { host, port } = gate.address;
  await writeReady(readyFile, { host: config.host, address: `${host}:${port}`, pid: process.pid });
  // For the next start. Node keeps compiled code at its end, and a kill has none.
  flushCompileCache();
  await aborted(signal);
  logger.info("gate stops");
  await rm(readyFile, { force: true });
  await gate.stop();
}
