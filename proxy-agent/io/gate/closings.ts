// Closings: how long it takes from a record that closes VMs until it is on disk, which is when it is confirmed.

import { type AppName, Histogram, type HistogramView } from "../../../mesh/index.ts";

/** From one sync of a fast disk to a disk that hangs. */
const BUCKETS_SECONDS: readonly number[] = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

interface Closing {
  /** Of the record; null: it is being taken. */
  epoch: number | null;
  readonly sinceMs: number;
}

export class Closings {
  readonly #seconds = new Histogram(BUCKETS_SECONDS);
  /** One for each VM: bounded by those that were open. */
  readonly #waiting = new Map<AppName, Closing[]>();

  /** A VM of this app was closed by the record that is being taken. */
  began(app: AppName, nowMs: number): void {
    const waiting = this.#waiting.get(app) ?? [];
    waiting.push({ epoch: null, sinceMs: nowMs });
    this.#waiting.set(app, waiting);
  }

  /** That record has this epoch. */
  taken(app: AppName, epoch: number): void {
    for (const closing of this.#waiting.get(app) ?? []) closing.epoch ??= epoch;
  }

  onDisk(app: AppName, epoch: number, nowMs: number): void {
    const left = (this.#waiting.get(app) ?? []).filter((closing) => {
      if (closing.epoch === null || closing.epoch > epoch) return true;
      this.#seconds.add((nowMs - closing.sinceMs) / 1_000);
      return false;
    });
    if (left.length > 0) this.#waiting.set(app, left);
    else this.#waiting.delete(app);
  }

  view(): HistogramView {
    return this.#seconds.view();
  }
}
