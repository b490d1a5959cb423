// VirtualOverlay: the simulator's stand-in for gossipsub alone, in virtual time over links that lose nothing.

import { EventQueue } from "./event-queue.ts";
import { GOSSIP_HEARTBEAT_MS, Overlay, type OverlayRpc } from "./overlay.ts";
import type { OverlayCluster, Received } from "./overlay-compliance.ts";
import { seededRandom } from "./seeded-random.ts";

const DELAY_MS = 1;
/** What does not come true within it never will. */
const PATIENCE_MS = 60_000;

export class VirtualOverlay implements OverlayCluster {
  readonly #members: { readonly overlay: Overlay<string>; readonly received: Received[] }[] = [];
  readonly #queue = new EventQueue<() => void>();
  readonly #random: () => number;
  readonly #ids = new Map<string, number>();
  #sentTo: number[] = [];
  #nowMs = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  join(): Promise<number> {
    const index = this.#members.length;
    const received: Received[] = [];
    const overlay = new Overlay<string>({
      send: (to, rpc) => this.#send(index, to, rpc),
      deliver: ({ payload }, from) => received.push({ text: payload, from }),
      onDuplicate: () => {},
      isFull: false,
      later: (delayMs, run) => this.#queue.push(this.#nowMs + delayMs, run),
      random: this.#random,
    });
    this.#members.push({ overlay, received });
    this.#beat(overlay, this.#random() * GOSSIP_HEARTBEAT_MS);
    return Promise.resolve(index);
  }

  dial(from: number, to: number): Promise<void> {
    this.#overlay(from).connected(to, true);
    this.#overlay(to).connected(from, false);
    this.#run(this.#nowMs + 3 * DELAY_MS);
    return Promise.resolve();
  }

  publish(from: number, text: string): Promise<readonly number[]> {
    const id = this.#ids.get(text) ?? this.#ids.size;
    this.#ids.set(text, id);
    this.#sentTo = [];
    this.#overlay(from).publish({ id, payload: text, bytes: text.length });
    return Promise.resolve(this.#sentTo.sort((left, right) => left - right));
  }

  received(member: number): readonly Received[] {
    return this.#members[member]?.received ?? [];
  }

  mesh(member: number): readonly number[] {
    return [...this.#overlay(member).mesh].sort((left, right) => left - right);
  }

  until(holds: () => boolean): Promise<void> {
    const deadlineMs = this.#nowMs + PATIENCE_MS;
    while (!holds()) {
      if (this.#nowMs > deadlineMs) return Promise.reject(new Error("it never came true"));
      this.#run(this.#nowMs + DELAY_MS);
    }
    return Promise.resolve();
  }

  heartbeats(count: number): Promise<void> {
    this.#run(this.#nowMs + count * GOSSIP_HEARTBEAT_MS);
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  #overlay(member: number): Overlay<string> {
    const found = this.#members[member];
    if (found === undefined) throw new Error(`bug: no member ${member}`);
    return found.overlay;
  }

  #send(from: number, to: number, rpc: OverlayRpc<string>): void {
    this.#sentTo.push(to);
    this.#queue.push(this.#nowMs + DELAY_MS, () => this.#overlay(to).receive(from, rpc));
  }

  #beat(overlay: Overlay<string>, delayMs: number): void {
    this.#queue.push(this.#nowMs + delayMs, () => {
      overlay.heartbeat();
      this.#beat(overlay, GOSSIP_HEARTBEAT_MS);
    });
  }

  #run(untilMs: number): void {
    while (this.#queue.nextAtMs <= untilMs) {
      this.#nowMs = this.#queue.nextAtMs;
      this.#queue.pop()?.();
    }
    this.#nowMs = untilMs;
  }
}
