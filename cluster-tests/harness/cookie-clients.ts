// Cookie clients: clients that keep the cookies that they are told to keep, as browsers do, and what each of them saw, request by request.

import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { CookieJar } from "./cookie-jar.ts";

/** One request of one client. Times are of this process's `performance.now()`. */
export interface Seen {
  readonly client: string;
  readonly proxy: string;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Null: no whole answer came. */
  readonly status: number | null;
  /** Of the release that answered; null: none did. */
  readonly release: number | null;
}

export interface Asking {
  /** "http://127.0.0.1:8080" by name of the proxy. */
  readonly proxy: readonly [name: string, url: string];
  readonly host: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client at an address of its own. */
export class CookieClient {
  readonly address: string;
  readonly #jar: CookieJar;

  constructor(address: string, jar: CookieJar = new CookieJar()) {
    this.address = address;
    this.#jar = jar;
  }

  get cookies(): string {
    return this.#jar.header;
  }

  /** The same client, on another way at the same time: it shows what this one shows now. */
  twin(keepsCookies: boolean): CookieClient {
    return new CookieClient(this.address, keepsCookies ? this.#jar.copy() : new CookieJar());
  }

  /** One request, on a connection of its own. It resolves whatever becomes of it. */
  ask({ proxy: [proxy, url], host, headers = {} }: Asking): Promise<Seen> {
    const startedMs = performance.now();
    const { cookies } = this;
    const told = {
      host,
      "x-forwarded-for": this.address,
      ...(cookies === "" ? {} : { cookie: cookies }),
      ...headers,
    };
    return new Promise((resolve) => {
      const seen = (status: number | null, release: number | null): void =>
        resolve({ client: this.address, proxy, startedMs, endedMs: performance.now(), status, release });
      const outgoing = request(url, { headers: told, agent: false }, (response) => {
        this.#jar.take(response.headers["set-cookie"] ?? []);
        const name = /^v(\d+)$/.exec(response.headers["grapevine-release"]?.toString() ?? "");
        const end = (): void =>
          seen(
            response.complete ? (response.statusCode ?? null) : null,
            name === null ? null : Number(name[1]),
          );
        response.resume().once("end", end).once("error", end);
      });
      outgoing.once("error", () => seen(null, null));
      outgoing.end();
    });
  }
}

/** What contradicts `no-going-back`: an answer of an older release to a request that began after an answer of a newer one was there. */
export function goingsBack(log: readonly Seen[]): readonly (readonly [newer: Seen, older: Seen])[] {
  const found: (readonly [Seen, Seen])[] = [];
  const byClient = Map.groupBy(log, ({ client }) => client);
  for (const seen of byClient.values()) {
    const ends = seen
      .filter(({ release }) => release !== null)
      .sort((left, right) => left.endedMs - right.endedMs);
    for (const later of ends) {
      const newer = ends.find(
        (one) => one.endedMs <= later.startedMs && (one.release ?? 0) > (later.release ?? 0),
      );
      if (newer !== undefined) found.push([newer, later]);
    }
  }
  return found;
}

export interface HoppingOptions {
  readonly clients: readonly CookieClient[];
  readonly host: string;
  /** Of now: it changes. */
  readonly proxies: () => readonly Asking["proxy"][];
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Between two requests of one client: so little that a machine with too much to do still serves it. */
const PAUSE_MS = 40;

/** Every client sends one request after the other, each to any of the proxies of that moment, until `stop`. */
export class Hopping {
  readonly #options: HoppingOptions;
  readonly #log: Seen[] = [];
  readonly #running: Promise<unknown>;
  #isOver = false;

  constructor(options: HoppingOptions) {
    this.#options = options;
    this.#running = Promise.all(options.clients.map((client) => this.#run(client)));
  }

  async stop(): Promise<readonly Seen[]> {
    this.#isOver = true;
    await this.#running;
    return this.#log;
  }

  async #run(client: CookieClient): Promise<void> {
    const { host, proxies, random } = this.#options;
    while (!this.#isOver) {
      const all = proxies();
      const proxy = all[Math.floor(random() * all.length)];
      if (proxy !== undefined) this.#log.push(await client.ask({ proxy, host }));
      await delay(PAUSE_MS);
    }
  }
}
