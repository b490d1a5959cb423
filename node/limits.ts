// Bounds of what the host agent answers to who watches it and queries it, in one place. Relations are asserted at load.

/** Releases of apps that sleep of which a host keeps the files unpacked. */
export const SPARES_MAX: number = 64;

/** Connections to the API: each watcher and each log follower keeps one. */
export const API_CONNECTIONS_MAX: number = 512;
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

/** A query's text: a page of SQL. */
export const QUERY_SQL_CHARS_MAX: number = 16 * 1024;
/** The body that carries it, with its parameters. */
export const QUERY_BODY_BYTES_MAX: number = 64 * 1024;
export const QUERY_PARAMS_MAX: number = 100;
/** What a query may take once it runs; then its process is killed. Of 100,000 rows a sort takes a tenth of it. */
export const QUERY_TIME_MAX_MS: number = 5_000;
/** For a process to start and to take over what the store holds; a machine under fault is slow. */
export const QUERY_LOAD_TIME_MAX_MS: number = 30_000;
/** Rows and bytes (as JSON) of one result; the rest is left out, and that is said. */
export const QUERY_ROWS_MAX: number = 10_000;
export const QUERY_RESULT_BYTES_MAX: number = 4 * 1024 * 1024;
/** Of a result that is watched: it is kept, to tell what changes. */
export const QUERY_WATCHED_BYTES_MAX: number = 1024 * 1024;
export const QUERY_WATCHERS_MAX: number = 16;
/** A watched query is asked again no sooner than this after its last answer. */
export const QUERY_WATCH_INTERVAL_MS: number = 500;
/** Queries that wait for the one that runs: when all that are watched are asked again at once, a person's still is. */
export const QUERIES_WAITING_MAX: number = 16;
/** The process of queries ends when none came for so long. */
export const QUERY_IDLE_MS: number = 30_000;
/**
 * What the process of queries may allocate, in the unit of `ulimit -d`: the kernel keeps it. Node sets 0.66 GB aside and uses
 * a tenth of that (measured), so that some 320 MB are left for the tables and for what a query needs beside them.
 */
export const QUERY_DATA_KIB_MAX: number = 1_000_000;
/** One value in SQLite. */
export const QUERY_VALUE_BYTES_MAX: number = 1024 * 1024;
/** Bytes of a BLOB that are shown, as base64. */
export const QUERY_BLOB_BYTES_MAX: number = 4_096;
/** Entries in one message to the process, and their bytes but for the last: a millisecond of our event loop. */
export const QUERY_FEED_ENTRIES_MAX: number = 200;
export const QUERY_FEED_BYTES_MAX: number = 128 * 1024;

if (QUERY_WATCHED_BYTES_MAX > QUERY_RESULT_BYTES_MAX) throw new Error("limits: a watched result is a result");
if (QUERY_WATCHERS_MAX > QUERIES_WAITING_MAX)
  throw new Error("limits: those who watch must leave room for a query");
if (WATCH_HEARTBEAT_MS * 2 > WATCH_STALLED_MS)
  throw new Error("limits: a reader that is cut off must have been told a heartbeat");

/** One TCP connection that `doctor` tries: two retransmissions of a lost SYN (1 s, 3 s) would take longer than a person waits. */
export const DOCTOR_CONNECT_MS: number = 1_500;
/** For host names, with the start of a process that asks: a resolver that is there answers within a second. */
export const DOCTOR_NAMES_MS: number = 2_000;
/** For the seeds to say who they are, from the first dial on: a busy member takes a second for Noise and Yamux. */
export const DOCTOR_GREET_MS: number = 4_000;
/** A write with its sync; a disk that takes longer hangs. */
export const DOCTOR_SYNC_MS: number = 3_000;
/** For the agent to say that it is there: it looks at nothing for that. */
export const DOCTOR_HEALTH_MS: number = 2_000;
/** One answer of the agent: it asks each member for 2 s, and those that seem behind once more. */
export const DOCTOR_ANSWER_MS: number = 6_000;
/** All of it. What is not known by then is said to be so. */
export const DOCTOR_ALL_MS: number = 9_000;
/** Members that are asked at once what they are: each costs the asked agent a stream. */
export const DOCTOR_ASKED_AT_ONCE: number = 16;
/** A sync above it is felt: each commit of a register waits for two disks, and its question is asked anew after 200 ms. */
export const DOCTOR_SYNC_SLOW_MS: number = 100;
/** Below it `doctor` fails: the incarnation, the registers and the snapshot of a small cluster. */
export const DOCTOR_ROOM_MIN_BYTES: number = 16 * 1024 * 1024;
/** Below it clocks count as equal: nobody reads times in a log that closely. */
export const DOCTOR_CLOCK_MS: number = 1_000;
/** A member whose event loop was later than this is starved of CPU, or was stopped. */
export const DOCTOR_LAG_MS: number = 500;
/** Below it no member starts for long: libp2p, SQLite and a handful of peers. */
export const DOCTOR_FILES_MIN: number = 256;

if (DOCTOR_NAMES_MS + DOCTOR_CONNECT_MS + DOCTOR_GREET_MS > DOCTOR_ALL_MS || DOCTOR_ANSWER_MS > DOCTOR_ALL_MS)
  throw new Error("limits: what doctor waits for must fit what it may take in all");
