// App watch: what the driver knows of one app, as it learns it, each view with the moment at which it came here.

import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { AppView } from "../../../node/deploy/app-view.ts";

export interface SeenView {
  readonly view: AppView;
  /** Of this process' monotonic clock. */
  readonly atMs: number;
}

export class AppWatch {
  readonly #response: IncomingMessage;
  readonly #seen: SeenView[] = [];
  readonly #waiting = new Set<() => void>();
  #ended: Error | null = null;
  #rest = "";

  /** The app must be there. */
  static async start(api: string, app: string): Promise<AppWatch> {
    const outgoing = request(`${api}/v1/apps/${app}/watch`);
    outgoing.end();
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`watch of ${app}: ${response.statusCode}`);
    return new AppWatch(response);
  }

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding("utf8");
    response.on("data", (text: string) => this.#take(text));
    const end = (error?: Error): void => {
      this.#ended ??= error ?? new Error("the watch ended");
      for (const wake of this.#waiting) wake();
    };
    response.once("close", () => end()).once("error", end);
  }

  /** What came so far, oldest first, since the last `forget`. */
  get seen(): readonly SeenView[] {
    return this.#seen;
  }

  /** But for the last. */
  forget(): void {
    this.#seen.splice(0, this.#seen.length - 1);
  }

  /** The first of `seen` that passes. Rejects when the agent ends the watch, or `signal` aborts. */
  async until(passes: (view: AppView) => boolean, signal: AbortSignal): Promise<SeenView> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#ended !== null) throw this.#ended;
      const found = this.#seen.find(({ view }) => passes(view));
      if (found !== undefined) return found;
      await this.#news(signal);
    }
  }

  stop(): void {
    this.#response.destroy();
  }

  #take(text: string): void {
    const atMs = performance.now();
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    // An empty one is the agent's sign of life.
    for (const line of lines) if (line !== "") this.#seen.push({ view: JSON.parse(line) as AppView, atMs });
    for (const wake of this.#waiting) wake();
  }

  async #news(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    this.#waiting.delete(resolve);
  }
}
