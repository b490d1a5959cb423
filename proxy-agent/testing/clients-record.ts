// What a record for tests says of its clients.

import type { AppRecord, Cutover, Hold, HoldSpec } from "../../mesh/index.ts";

export interface ClientsOptions {
  /** Of every release. */
  readonly cutover?: Cutover;
  /** A release whose cordoned VMs are kept. */
  readonly keeps?: number;
  readonly backs?: number;
  /** Who has the app's requests held, and how many may wait. */
  readonly heldBy?: Hold["by"];
  readonly hold?: HoldSpec;
}

export function withClients(record: AppRecord, options: ClientsOptions): AppRecord {
  const { cutover, keeps, backs, heldBy, hold } = options;
  const strategy = cutover === "pinned" ? "immediate" : "rolling";
  const releases = record.releases.map((release) => {
    const deploy = {
      ...release.spec.deploy,
      strategy,
      ...(cutover === undefined ? {} : { cutover }),
    } as const;
    return { ...release, spec: { ...release.spec, deploy, ...(hold === undefined ? {} : { hold }) } };
  });
  const kept = keeps === undefined ? {} : { kept: { release: keeps, untilMs: 2e15 } };
  const current = keeps === undefined ? record.current : record.lastRelease;
  const held = heldBy === undefined ? {} : { hold: { by: heldBy, atMs: 0 } };
  return { ...record, releases, current, ...kept, ...held, ...(backs === undefined ? {} : { backs }) };
}
