// Record watch: every record of one app that any agent holds, by epoch. Two different ones of one epoch would be two winners of one swap.

import { setTimeout as delay } from "node:timers/promises";
import { linesOf } from "./observe.ts";

/** An agent that was killed is asked again so often. */
const AGAIN_MS = 100;

export class RecordWatch {
  readonly #key: string;
  readonly #stopping = new AbortController();
  readonly #records = new Map<number, { readonly text: string; readonly by: string }>();
  readonly #running: readonly Promise<void>[];
  readonly #faults: string[] = [];

  constructor(apis: Readonly<Record<string, string>>, app: string) {
    this.#key = `app/${app}`;
    this.#running = Object.entries(apis).map(([host, api]) => this.#run(host, api));
  }

  /** Records that were seen, of different epochs. */
  get epochs(): number {
    return this.#records.size;
  }

  /** Epochs of which two agents held two records. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  async #run(host: string, api: string): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // It was killed, or is not there yet: a watch that begins anew starts with what it holds.
      await this.#follow(host, api).catch(() => undefined);
      await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #follow(host: string, api: string): Promise<void> {
    const response = await fetch(`${api}/v1/watch?prefix=${this.#key}`, { signal: this.#stopping.signal });
    if (response.body === null) return;
    for await (const line of linesOf(response.body)) this.#take(host, line);
  }

  #take(host: string, line: string): void {
    const { entry, change = entry } = JSON.parse(line) as Record<
      string,
      { key: string; value?: { epoch: number } }
    >;
    if (change?.key !== this.#key || change.value === undefined) return;
    const { epoch } = change.value;
    const text = JSON.stringify(change.value);
    const known = this.#records.get(epoch);
    if (known === undefined) this.#records.set(epoch, { text, by: host });
    else if (known.text !== text)
      this.#faults.push(`epoch ${epoch} at ${known.by}: ${known.text}\n  at ${host}: ${text}`);
  }
}
