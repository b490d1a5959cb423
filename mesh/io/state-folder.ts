// State folder: where a member keeps what outlives it. It is made at the start, before anything else is begun.

import { accessSync, constants } from "node:fs";
import { messageOf } from "../result.ts";
import { makeFolder } from "./make-folder.ts";

/** The configuration names a folder that cannot be: its writer's mistake. */
export class StateFolderError extends Error {}

/** Makes what is missing of it, with `mode`. Throws `StateFolderError` if it cannot be made, or not be written to. */
export function makeStateFolder(stateDir: string, mode?: number): void {
  try {
    makeFolder(stateDir, mode);
    accessSync(stateDir, constants.W_OK);
  } catch (error) {
    throw new StateFolderError(`state_dir = "${stateDir}": cannot be used: ${messageOf(error)}`);
  }
}
