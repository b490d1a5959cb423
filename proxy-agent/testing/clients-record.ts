// What a record for tests says of its clients.

import type { AppRecord, Cutover } from "../../mesh/index.ts";

export interface ClientsOptions {
  /** Of every release. */
  readonly cutover?: Cutover;
  /** A release whose cordoned VMs are kept. */
  readonly keeps?: number;
  readonly backs?: number;
}

export function withClients(record: AppRecord, { cutover, keeps, backs }: ClientsOptions): AppRecord {
  const strategy = cutover === "pinned" ? "immediate" : "rolling";
  const releases = record.releases.map((release) => {
    const deploy = {
      ...release.spec.deploy,
      strategy,
      ...(cutover === undefined ? {} : { cutover }),
    } as const;
    return { ...release, spec: { ...release.spec, deploy } };
  });
  const kept = keeps === undefined ? {} : { kept: { release: keeps, untilMs: 2e15 } };
  const current = keeps === undefined ? record.current : record.lastRelease;
  return { ...record, releases, current, ...kept, ...(backs === undefined ? {} : { backs }) };
}
