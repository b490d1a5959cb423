// Judge folder: state folder, room, disk, key and clock, judged from facts alone.

import { DOCTOR_ROOM_MIN_BYTES, DOCTOR_SYNC_MS, DOCTOR_SYNC_SLOW_MS } from "../../limits.ts";
import { BUNDLE_BYTES_MAX } from "../../releases/bundle-limits.ts";
import { formatDuration } from "../table.ts";
import { type Finding, failure, fine, warning } from "./finding.ts";
import type { FolderFacts, KeyFacts } from "./gather-folder.ts";
import type { Program } from "./target.ts";

/** Of an agent: bundles that are kept, and VMs that are unpacked. */
const BUNDLES_KEPT = 10;
const FILES_MIN = 1_000;
/** The path of a unix socket, less its NUL (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;
const SOCKETS = { agent: "agent.sock", gate: "arms.sock", proxy: null } as const;
const MODE_OTHERS = 0o077;
const MODE_WRITTEN_BY_ALL = 0o002;
const MODE_STICKY = 0o1000;
/** Incarnations grow by one a start, or with the clock. */
const AHEAD_MS = 60_000;

export function judgeFolder({ stateDir, at, isThere, mode, write }: FolderFacts, program: Program): Finding {
  const setting = `state_dir = "${stateDir}"`;
  const socket = SOCKETS[program];
  if (socket !== null && Buffer.byteLength(`${stateDir}/${socket}`) > SOCKET_PATH_BYTES_MAX)
    return failure("folder", {
      found: `${setting}: ${Buffer.byteLength(stateDir)} bytes`,
      means: `the path of the socket in it may have ${SOCKET_PATH_BYTES_MAX} bytes: the ${program} cannot start`,
      next: "write a shorter state_dir",
    });
  if (!write.ok && write.code !== "timeout")
    return failure("folder", {
      found: `${setting}: ${at === stateDir ? "" : `it is not there, and `}nothing can be written in ${at} (${write.code})`,
      means: `the ${program} cannot start, or loses what it must remember`,
      next: `as root, with the user that the ${program} runs as: install -d -m 700 -o USER ${stateDir}; or mend the file system`,
    });
  if (!isThere) return fine("folder", `${setting}: the start will make it in ${at}`);
  if (mode !== null && (mode & MODE_WRITTEN_BY_ALL) !== 0 && (mode & MODE_STICKY) === 0)
    return warning("folder", {
      found: `${setting}: everybody may write in it (mode ${octal(mode)})`,
      means: "any user of this machine can take the place of this member",
      next: `chmod 700 ${stateDir}`,
    });
  return fine("folder", `${setting}: it can be written`);
}

export function judgeRoom({ at, freeBytes, freeFiles }: FolderFacts, program: Program): Finding {
  if (freeBytes === null)
    return warning("room", {
      found: `${at}: how much room is left is not told`,
      means: "a full disk would come as a surprise",
      next: `df -h ${at}`,
    });
  const enough = program === "agent" ? BUNDLES_KEPT * BUNDLE_BYTES_MAX : 4 * DOCTOR_ROOM_MIN_BYTES;
  const files = freeFiles === null ? "" : `, ${freeFiles} files`;
  const found = `${megabytes(freeBytes)} MB${files} free at ${at}`;
  const next = `make room: df -h ${at}; df -i ${at}; du -x -d 1 ${at}`;
  if (freeBytes < DOCTOR_ROOM_MIN_BYTES || (freeFiles ?? FILES_MIN) < FILES_MIN / 10)
    return failure("room", {
      found,
      means: "a start must write its incarnation, and a voter each commit: both fail without room",
      next,
    });
  if (freeBytes >= enough && (freeFiles ?? FILES_MIN) >= FILES_MIN) return fine("room", found);
  const why = program === "agent" ? `: ${BUNDLES_KEPT} releases as large as they may be` : "";
  return warning("room", { found, means: `enough are ${megabytes(enough)} MB${why}`, next });
}

/** null: nothing could be written, which the folder's own judge says. */
export function judgeSync({ at, write }: FolderFacts, program: Program): Finding | null {
  const means =
    program === "agent"
      ? "each commit waits for the disks of a majority of the voters; a slow one slows all deploys"
      : "what must outlive a crash waits for it";
  const next = "iostat -x 1 shows what the disk does; dmesg what is wrong with it";
  if (write.ok) {
    const found = `a synced write takes ${formatMs(write.syncMs)} at ${at}`;
    return write.syncMs <= DOCTOR_SYNC_SLOW_MS
      ? fine("disk", found)
      : warning("disk", { found, means, next });
  }
  if (write.code !== "timeout") return null;
  const found = `a synced write at ${at} was not over within ${formatDuration(DOCTOR_SYNC_MS)}`;
  return failure("disk", { found, means, next });
}

export function judgeKey({ file, code, mode, isKey }: KeyFacts, isRunning: boolean): Finding {
  if (code === "ENOENT" && !isRunning) return fine("key", `${file}: the start will make one`);
  if (code !== null)
    return failure("key", {
      found: `${file} cannot be read (${code})`,
      means:
        code === "ENOENT"
          ? "it was taken away from a member that runs: at its next start it is another member"
          : "without it the member cannot start",
      next:
        code === "ENOENT"
          ? `restore ${file} from a copy`
          : "run this as the member's user, who must own the file",
    });
  if (!isKey)
    return failure("key", {
      found: `${file} is no key`,
      means: "the member does not start: to make another key would make another member of it",
      next: "restore it from a copy, or remove it to join as another member",
    });
  if (mode !== null && (mode & MODE_OTHERS) !== 0)
    return failure("key", {
      found: `${file} may be used by others (mode ${octal(mode)})`,
      means: "who reads it can speak as this member",
      next: `chmod 600 ${file}`,
    });
  return fine("key", `${file}: readable, for its owner alone`);
}

/** Nobody tells us the time: what can be seen from here is a clock that went back. */
export function judgeClock({ incarnation, nowMs }: KeyFacts): Finding {
  const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  if (incarnation === null || incarnation <= nowMs + AHEAD_MS)
    return fine("clock", `${now}; an agent that runs can be asked for the others'`);
  return warning("clock", {
    found: `${now}, and the last start here was ${formatDuration(incarnation - nowMs)} later`,
    means: "this clock was ahead, or was set back. Nothing is decided by it but how long a wait may take",
    next: "timedatectl shows whether it is set by NTP",
  });
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, "0");
}

function megabytes(bytes: number): number {
  return Math.floor(bytes / (1024 * 1024));
}

function formatMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
