// Resolve command: finds the file that a release's command names, before anything is started, so that the error is ours.

import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { VmStartError } from "./vm-driver.ts";

export interface CommandPlace {
  /** The folder that the command runs in. */
  readonly cwd: string;
  /** The VM's PATH. */
  readonly path: string;
}

/** The absolute path of what `command` names, as a shell would find it. Throws `VmStartError`. */
export function resolveCommand(command: string, place: CommandPlace): string {
  if (command === "") throw new VmStartError("command-not-found", "the command is empty");
  const candidates = command.includes("/") ? [resolve(place.cwd, command)] : searchPath(command, place);
  const found = candidates.filter((file) => isFile(file));
  const runnable = found.find((file) => isExecutable(file));
  if (runnable !== undefined) return runnable;
  const [blocked] = found;
  if (blocked !== undefined) throw notExecutable(command, blocked);
  throw notFound(command, place);
}

function searchPath(command: string, place: CommandPlace): string[] {
  const folders = place.path.split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(isAbsolute(folder) ? folder : resolve(place.cwd, folder), command));
}

function notExecutable(command: string, file: string): VmStartError {
  const advice = `run "chmod +x ${command}" in the app's folder, or name the interpreter in the command`;
  return new VmStartError("not-executable", `not executable: ${file}; ${advice}`);
}

function notFound(command: string, place: CommandPlace): VmStartError {
  if (command.includes("/")) {
    const where = isAbsolute(command) ? "on this host" : "in the app's folder";
    return new VmStartError("command-not-found", `command not found: ${command} is not ${where}`);
  }
  const isInApp = isFile(join(place.cwd, command));
  const advice = isInApp
    ? `it is in the app's folder: write "./${command}"`
    : "it is not in the PATH of this host";
  return new VmStartError("command-not-found", `command not found: ${command}; ${advice}`);
}

/** What cannot even be looked at (no permission, a name that no file can have) is not there for us. */
function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
