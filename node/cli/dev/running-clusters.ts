// Running clusters: one file for each dev cluster of this user, so that commands find the one that runs.

import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

export function devClusterFolder(): string {
  return join(tmpdir(), `grapevine-dev-${userInfo().uid}`);
}

/** `pid`: of the process that supervises the cluster. */
export function devClusterFile(pid: number): string {
  return join(devClusterFolder(), `${pid}.json`);
}
