// RecordPublisher: how certified records get into the mesh. Who commits one writes it into its own state, and of very many in a
// row of one app not each; a record that nobody's state has any more is written again by the first voter that lives; what a newer one
// replaced is deleted by its owner.

import type { AppName } from "../../core/ids.ts";
import { PUBLISH_BURST, PUBLISH_LOOK_MS, PUBLISH_REST_MS } from "../../limits.ts";
import type { Entry } from "../../mesh.ts";
import { APP_PREFIX, appKey } from "../../records/app.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { decodeCommitted, encodeCommitted } from "../../register/register-codec.ts";
import { type CertifiedApp, type CertifiedApps, isNewer, rankOf } from "./certified-apps.ts";
import type { RegisterContext } from "./register-context.ts";

export interface RecordPublisherDeps extends RegisterContext {
  readonly apps: CertifiedApps;
  /** Whether what nobody publishes is ours to publish. */
  readonly isFirst: () => boolean;
}

interface Pace {
  published: number;
  timer: NodeJS.Timeout;
}

export class RecordPublisher {
  readonly #deps: RecordPublisherDeps;
  /** What published bytes say: the same ones are looked at again and again. */
  readonly #said = new WeakMap<Uint8Array, CommittedValue | null>();
  /** To be published with the next turn. */
  readonly #owed = new Set<AppName>();
  #isTurnAsked = false;
  /** Apps that were published just now, and how often: a leaky bucket each. */
  readonly #paces = new Map<AppName, Pace>();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribes: readonly (() => void)[] = [];

  constructor(deps: RecordPublisherDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { mesh } = this.#deps;
    this.#unsubscribes = [
      mesh.onMembers(() => this.#lookSoon()),
      mesh.onChange(({ key, path }) => {
        if (key.startsWith(APP_PREFIX) && path !== "own") this.#lookSoon();
      }),
    ];
    this.#lookSoon();
  }

  stop(): void {
    for (const app of this.#owed) this.#publish(app);
    this.#owed.clear();
    for (const { timer } of this.#paces.values()) clearTimeout(timer);
    this.#paces.clear();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** With the next turn: whoever committed it goes on first, and asks voters while we gossip. */
  publishSoon(app: AppName): void {
    this.#owed.add(app);
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    setImmediate(() => {
      this.#isTurnAsked = false;
      this.#publishOwed();
    });
  }

  #publishOwed(): void {
    for (const app of this.#owed) {
      if ((this.#paces.get(app)?.published ?? 0) >= PUBLISH_BURST) continue;
      this.#owed.delete(app);
      this.#publish(app);
      this.#count(app);
    }
  }

  /** Every member checks what is gossiped, and of very many commits in a row each but the last is old before it arrives. */
  #count(app: AppName): void {
    const pace = this.#paces.get(app) ?? { published: 0, timer: this.#leakSoon(app) };
    pace.published += 1;
    this.#paces.set(app, pace);
  }

  #leakSoon(app: AppName): NodeJS.Timeout {
    return setTimeout(() => this.#leak(app), PUBLISH_REST_MS);
  }

  #leak(app: AppName): void {
    const pace = this.#paces.get(app);
    if (pace === undefined) return;
    pace.published -= 1;
    if (pace.published === 0) this.#paces.delete(app);
    else pace.timer = this.#leakSoon(app);
    this.#publishOwed();
  }

  /** The record of now, as ours. */
  #publish(app: AppName): void {
    const held = this.#deps.apps.get(app);
    if (held !== undefined) this.#deps.mesh.write(appKey(app), encodeCommitted(held.committed));
  }

  /** Not at once: what is missing may be on its way, and many change together. */
  #lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, PUBLISH_LOOK_MS);
  }

  #look(): void {
    const { mesh, apps, isFirst } = this.#deps;
    const published = new Map<string, Entry[]>();
    for (const entry of mesh.store.list(APP_PREFIX)) {
      const ofKey = published.get(entry.key);
      if (ofKey === undefined) published.set(entry.key, [entry]);
      else ofKey.push(entry);
    }
    for (const app of apps.all()) {
      const entries = published.get(appKey(app.record.app)) ?? [];
      const isThere = entries.some((entry) => !this.#isBehind(entry, app));
      if (!isThere && isFirst()) this.#publish(app.record.app);
      else if (
        isThere &&
        entries.some((entry) => entry.owner === mesh.self.owner && this.#isBehind(entry, app))
      ) {
        mesh.write(appKey(app.record.app), null);
      }
    }
  }

  #isBehind({ value }: Entry, { committed }: CertifiedApp): boolean {
    const said = value === null ? null : this.#committedIn(value);
    return said === null || isNewer(rankOf(committed), rankOf(said));
  }

  #committedIn(value: Uint8Array): CommittedValue | null {
    const known = this.#said.get(value);
    if (known !== undefined) return known;
    const decoded = decodeCommitted(value);
    const said = decoded.ok ? decoded.value : null;
    this.#said.set(value, said);
    return said;
  }
}
