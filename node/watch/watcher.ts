// Watcher: one reader of the changes. It reads pages from the log at its own pace; nothing is kept for it. Who falls behind
// what the log holds, or takes nothing for long, is told so and closed, never waited for.

import type { Entry, Mesh } from "../../mesh/index.ts";
import type { NameBook, OwnerNames } from "../introspection/names.ts";
import {
  WATCH_GOODBYE_MS,
  WATCH_HEARTBEAT_MS,
  WATCH_PAGE_BYTES_MAX,
  WATCH_PAGE_LINES_MAX,
  WATCH_STALLED_MS,
} from "../limits.ts";
import type { ChangeLog } from "./change-log.ts";
import { viewChange, type WatchEvent, watchLine } from "./watch-lines.ts";

export interface WatchOptions {
  readonly prefix: string;
  /** null: begin with what is there now. */
  readonly after: number | null;
}

export interface WatcherDeps {
  readonly mesh: Pick<Mesh, "self" | "store">;
  readonly log: ChangeLog;
  readonly book: NameBook;
  /** Once, when it is over, however it ends. */
  readonly onEnd: () => void;
}

const FELL_BEHIND = "you fell behind: what followed is forgotten; begin anew, without from";

/** The body of the answer. Nothing runs for it once the reader is gone. */
export function watchBody(options: WatchOptions, deps: WatcherDeps): ReadableStream<Uint8Array> {
  let watcher: Watcher | undefined;
  return new ReadableStream(
    {
      start: (controller) => {
        watcher = new Watcher(options, deps, controller);
      },
      pull: () => watcher?.pull(),
      cancel: () => watcher?.end(),
    },
    { highWaterMark: 0 },
  );
}

class Watcher {
  readonly #prefix: string;
  readonly #deps: WatcherDeps;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #unsubscribe: () => void;
  readonly #beat: NodeJS.Timeout;
  /** All changes up to here were told, or are in the snapshot. */
  #told: number;
  /** What is left of it; null: it was told whole, or is not wanted. */
  #snapshot: { readonly entries: readonly Entry[]; next: number } | null;
  #isBegun = false;
  /** The reader asks for more. */
  #asking: PromiseWithResolvers<void> | undefined;
  #lastAskedAtMs = performance.now();
  #lastToldAtMs = performance.now();
  #isOver = false;

  constructor(
    { prefix, after }: WatchOptions,
    deps: WatcherDeps,
    controller: ReadableStreamDefaultController<Uint8Array>,
  ) {
    this.#prefix = prefix;
    this.#deps = deps;
    this.#controller = controller;
    // In one breath: what changes from now on has a higher number.
    this.#told = after ?? deps.log.newest;
    this.#snapshot = after === null ? { entries: deps.mesh.store.list(prefix), next: 0 } : null;
    this.#unsubscribe = deps.log.onChange(() => this.#serve());
    this.#beat = setInterval(() => this.#heartbeat(), WATCH_HEARTBEAT_MS);
  }

  /** Resolves once something was handed over. */
  pull(): Promise<void> {
    this.#lastAskedAtMs = performance.now();
    if (this.#isOver) return Promise.resolve();
    this.#asking ??= Promise.withResolvers<void>();
    const { promise } = this.#asking;
    this.#serve();
    return promise;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unsubscribe();
    clearInterval(this.#beat);
    this.#asking?.resolve();
    this.#asking = undefined;
    this.#snapshot = null;
    this.#deps.onEnd();
  }

  #serve(): void {
    if (this.#isOver) return;
    // A snapshot too: what it keeps alive is no more than what the log has.
    if (!this.#deps.log.isHeldAfter(this.#told)) {
      this.#sayFellBehind();
      return;
    }
    if (this.#asking === undefined) return;
    const page = this.#nextPage();
    if (page !== "") this.#hand(page);
  }

  #hand(text: string): void {
    this.#controller.enqueue(this.#encoder.encode(text));
    this.#lastToldAtMs = performance.now();
    this.#asking?.resolve();
    this.#asking = undefined;
  }

  #nextPage(): string {
    const lines: string[] = [];
    let chars = 0;
    const { names } = this.#deps.book;
    while (lines.length < WATCH_PAGE_LINES_MAX && chars < WATCH_PAGE_BYTES_MAX) {
      const line = this.#nextLine(names);
      if (line === undefined) break;
      lines.push(line);
      chars += line.length;
    }
    return lines.join("");
  }

  #nextLine(names: OwnerNames): string | undefined {
    if (!this.#isBegun) return this.#begin();
    const snapshot = this.#snapshot;
    if (snapshot === null) return this.#nextChange(names);
    const entry = snapshot.entries[snapshot.next];
    snapshot.next += 1;
    if (entry !== undefined) return this.#line({ entry: viewChange(entry, names) }, true);
    this.#snapshot = null;
    return this.#line({ snapshotEnd: { entries: snapshot.entries.length } });
  }

  #begin(): string {
    this.#isBegun = true;
    const { name } = this.#deps.mesh.self;
    const isSnapshot = this.#snapshot !== null;
    return this.#line({ watch: { agent: name, prefix: this.#prefix, resumed: !isSnapshot } }, isSnapshot);
  }

  #nextChange(names: OwnerNames): string | undefined {
    const { log } = this.#deps;
    while (this.#told < log.newest) {
      const change = log.at(this.#told + 1);
      this.#told += 1;
      if (change?.key.startsWith(this.#prefix) === true)
        return this.#line({ change: viewChange(change, names) });
    }
    return undefined;
  }

  #line(event: WatchEvent, isInSnapshot = false): string {
    return watchLine(this.#deps.log.position(this.#told, isInSnapshot), event);
  }

  #heartbeat(): void {
    const nowMs = performance.now();
    // Its position is news too: what others changed meanwhile need not be held for this reader.
    if (this.#asking !== undefined && nowMs - this.#lastToldAtMs >= WATCH_HEARTBEAT_MS / 2)
      this.#hand(this.#line({ heartbeat: true }, this.#snapshot !== null));
    else if (this.#asking === undefined && nowMs - this.#lastAskedAtMs >= WATCH_STALLED_MS) this.#cutOff();
  }

  /** It reads that once it reads again; if it does not, the connection goes. */
  #sayFellBehind(): void {
    this.#controller.enqueue(this.#encoder.encode(watchLine(null, { restart: { reason: FELL_BEHIND } })));
    this.#controller.close();
    this.end();
    const fail = (): void => this.#fail();
    setTimeout(fail, WATCH_GOODBYE_MS).unref();
  }

  #cutOff(): void {
    this.end();
    this.#fail();
  }

  /** Nothing happens if all was read. */
  #fail(): void {
    this.#controller.error(new Error("the watcher does not read"));
  }
}
