// Bounds of what the host agent answers to who watches it and queries it, in one place. Relations are asserted at load.

/** Changes that a watcher may be behind. A deploy of a hundred VMs makes some thousand. */
export const WATCH_CHANGES_MAX: number = 8_192;
/** Bytes of keys and values of these changes, at most: what the oldest are dropped for. */
export const WATCH_CHANGES_BYTES_MAX: number = 8 * 1024 * 1024;
/** Watchers of changes at once: each may cost a page, and what it has not read of its snapshot. */
export const WATCHERS_MAX: number = 64;
/** Lines handed to the reader at once, and their bytes, but for the last line. */
export const WATCH_PAGE_LINES_MAX: number = 200;
export const WATCH_PAGE_BYTES_MAX: number = 128 * 1024;
/** A line when nothing changed for so long, so that the reader can tell silence from a dead agent. */
export const WATCH_HEARTBEAT_MS: number = 2_000;
/** A reader that takes nothing for so long is cut off: it is stopped, or gone without a word. */
export const WATCH_STALLED_MS: number = 30_000;
/** What a watcher that fell behind has to read the line that says so. */
export const WATCH_GOODBYE_MS: number = 5_000;
/** Of a value that no kind of ours explains, as base64. The whole is to be had by its key. */
export const WATCH_BASE64_BYTES_MAX: number = 4_096;

if (WATCH_HEARTBEAT_MS * 2 > WATCH_STALLED_MS)
  throw new Error("limits: a reader that is cut off must have been told a heartbeat");
