// Program version: which Grapevine this is, for people who compare members. A cut that runs from its repository is told apart by
// the commit: the number in package.json stays the same from one to the next.

import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { FORMAT } from "../core/message.ts";

export interface ProgramVersion {
  /** As package.json has it; "unknown": that is not there, which is no reason not to run. */
  readonly grapevine: string;
  /** That was checked out when this process first asked; null: it does not run from a git repository, as in the image. */
  readonly commit: string | null;
  /** The format of messages that it speaks. */
  readonly wire: number;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMMIT = /^[0-9a-f]{40,64}$/;

let own: ProgramVersion | undefined;

/** Ask at the start: a checkout moves on under a process that runs. */
export function programVersion(): ProgramVersion {
  own ??= { grapevine: readNumber(ROOT), commit: readCommit(ROOT), wire: FORMAT };
  return own;
}

function readNumber(root: string): string {
  const [, version] = /"version": "([^"]+)"/.exec(readText(path.join(root, "package.json")) ?? "") ?? [];
  return version ?? "unknown";
}

/** Without git, which a host need not have (gitrepository-layout(5)). */
export function readCommit(root: string): string | null {
  const folder = gitFolder(path.join(root, ".git"));
  const head = folder && readText(path.join(folder, "HEAD"));
  if (!folder || !head) return null;
  const ref = /^ref: (refs\/\S+)$/.exec(head)?.[1];
  const shared = path.resolve(folder, readText(path.join(folder, "commondir")) ?? ".");
  const commit = ref === undefined ? head : (readText(path.join(shared, ref)) ?? packed(shared, ref));
  return commit !== null && COMMIT.test(commit) ? commit : null;
}

/** Of a worktree it is a file that names the folder. */
function gitFolder(git: string): string | null {
  if (readText(path.join(git, "HEAD")) !== null) return git;
  const named = /^gitdir: (.+)$/.exec(readText(git) ?? "")?.[1];
  return named === undefined ? null : path.resolve(path.dirname(git), named);
}

function packed(folder: string, ref: string): string | null {
  const lines = (readText(path.join(folder, "packed-refs")) ?? "").split("\n");
  return lines.find((line) => line.endsWith(` ${ref}`))?.split(" ")[0] ?? null;
}

/** null: it is not there, or not ours to read. */
function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
}
