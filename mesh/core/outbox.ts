// Outbox: own changes that were not gossiped yet, newest for each key. Coalesced while the line is busy; over the bound of
// one message only the head goes out, and the gap that it shows makes peers pull.

import { GOSSIP_BYTES_MAX } from "../limits.ts";
import type { Entry } from "../mesh.ts";
import { entryBytesMax } from "./entry.ts";
import type { Head } from "./head.ts";
import type { HostState } from "./host-state.ts";
import type { HostDelta } from "./message.ts";

/** Left in a gossip message for owner id, versions, root and signature. */
const GOSSIP_HEAD_BYTES = 512;

export class Outbox {
  readonly #pending = new Map<string, Entry>();
  #bytes = 0;
  /** The counter up to which everything was gossiped. */
  #from = 0;

  add(entry: Entry): void {
    const replaced = this.#pending.get(entry.key);
    if (replaced !== undefined) {
      this.#pending.delete(entry.key);
      this.#bytes -= entryBytesMax(replaced);
    }
    this.#pending.set(entry.key, entry);
    this.#bytes += entryBytesMax(entry);
  }

  /** All pending as one stretch of `own`; afterwards nothing is pending. */
  take(own: HostState, head: Head): HostDelta {
    const fits = this.#bytes <= GOSSIP_BYTES_MAX - GOSSIP_HEAD_BYTES;
    const delta = {
      owner: own.owner,
      start: own.start,
      from: fits ? this.#from : own.counter,
      to: own.counter,
      head,
      compacted: own.compacted,
      isRepair: false,
      entries: fits ? [...this.#pending.values()] : [],
    };
    this.#pending.clear();
    this.#bytes = 0;
    this.#from = own.counter;
    return delta;
  }
}
