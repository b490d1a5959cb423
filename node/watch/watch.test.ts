import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EntryChange, Mesh } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { NameBook } from "../introspection/names.ts";
import { WATCH_GOODBYE_MS, WATCH_HEARTBEAT_MS, WATCH_STALLED_MS } from "../limits.ts";
import { ChangeLog } from "./change-log.ts";
import { type WatchOptions, watchBody } from "./watcher.ts";

const BYTES = new Uint8Array([1]);

interface Line {
  readonly position: string | null;
  readonly watch?: { readonly agent: string; readonly resumed: boolean };
  readonly entry?: { readonly key: string };
  readonly snapshotEnd?: { readonly entries: number };
  readonly change?: {
    readonly key: string;
    readonly deleted: boolean;
    readonly version: { readonly counter: number };
  };
  readonly heartbeat?: true;
  readonly restart?: { readonly reason: string };
}

let mesh: Mesh;
let log: ChangeLog;
let ended: number;
beforeEach(() => {
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  log = new ChangeLog(mesh, { changesMax: 64, bytesMax: 100_000 });
  ended = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await mesh.stop();
});

class Reader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Line[] = [];

  constructor(options: Partial<WatchOptions> = {}) {
    const deps = { mesh, log, book: new NameBook(mesh), onEnd: () => (ended += 1) };
    this.#reader = watchBody({ prefix: "vm/", after: null, ...options }, deps).getReader();
  }

  /** undefined: the end. */
  async next(): Promise<Line | undefined> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      const lines = new TextDecoder().decode(value).trimEnd().split("\n");
      this.#rest = lines.map((line) => JSON.parse(line) as Line);
    }
    return this.#rest.shift();
  }

  /** Up to and with the first that passes. */
  async until(passes: (line: Line) => boolean): Promise<readonly Line[]> {
    const lines: Line[] = [];
    for (;;) {
      const line = await this.next();
      if (line === undefined) throw new Error("the stream ended");
      lines.push(line);
      if (passes(line)) return lines;
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

const isEnd = (line: Line): boolean => line.snapshotEnd !== undefined;

function resumeFrom(position: string | null | undefined): Partial<WatchOptions> {
  const resumption = log.resume(position ?? "");
  if (resumption.code !== "resume") throw new Error(`cannot resume: ${JSON.stringify(resumption)}`);
  return { after: resumption.after };
}

describe("a watcher", () => {
  it("reads what is there, where that ends, and then each change, with positions", async () => {
    mesh.write("vm/a", BYTES);
    mesh.write("other/b", BYTES);
    const reader = new Reader();
    const snapshot = await reader.until(isEnd);
    expect(snapshot).toMatchObject([
      { watch: { agent: "host-1", prefix: "vm/", resumed: false } },
      { entry: { key: "vm/a", name: "host-1", deleted: false, bytes: 1 } },
      { snapshotEnd: { entries: 1 } },
    ]);
    mesh.write("other/c", BYTES);
    mesh.write("vm/a", new Uint8Array([2]));
    mesh.write("vm/a", null);
    const changes = [await reader.next(), await reader.next()];
    expect(changes).toMatchObject([
      { change: { key: "vm/a", deleted: false } },
      { change: { deleted: true } },
    ]);
    const positions = [...snapshot, ...changes].map((line) => line?.position);
    expect(new Set(positions.slice(-3)).size).toBe(3);
    await reader.cancel();
    expect(ended).toBe(1);
  });

  it("goes on after the position that it gives, and misses nothing, wherever it broke off", async () => {
    const reader = new Reader();
    await reader.until(isEnd);
    for (let at = 1; at <= 10; at += 1) mesh.write("vm/a", new Uint8Array([at]));
    const seen: Line[] = [];
    for (let at = 0; at < 10; at += 1) seen.push((await reader.next()) as Line);
    await reader.cancel();
    for (const [at, line] of seen.entries()) {
      const again = new Reader(resumeFrom(line.position));
      expect((await again.next())?.watch).toMatchObject({ resumed: true });
      for (const later of seen.slice(at + 1)) expect((await again.next())?.change).toEqual(later.change);
      await again.cancel();
    }
  });

  it("is told after a pause of others' changes where it stands, so that its position does not grow old", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const reader = new Reader();
    await reader.until(isEnd);
    // More than the log holds; none of them is for this reader.
    for (let at = 0; at < 40; at += 1) mesh.write("other/a", new Uint8Array([at]));
    const next = reader.next();
    vi.advanceTimersByTime(WATCH_HEARTBEAT_MS);
    const beat = await next;
    expect(beat).toMatchObject({ heartbeat: true });
    for (let at = 0; at < 40; at += 1) mesh.write("other/a", new Uint8Array([100 + at]));
    expect(log.resume(beat?.position ?? "").code).toBe("resume");
    await reader.cancel();
  });

  it("that does not read is told that it fell behind, and closed, and costs no more than the log", async () => {
    const reader = new Reader();
    await reader.until(isEnd);
    for (let at = 0; at < 200; at += 1) mesh.write("vm/a", new Uint8Array([at]));
    expect(ended).toBe(1);
    expect(await reader.next()).toMatchObject({
      position: null,
      restart: { reason: expect.stringMatching(/^you fell behind/) },
    });
    expect(await reader.next()).toBeUndefined();
  });

  it("that falls behind in its snapshot is told so too: it never goes on with a gap", async () => {
    for (let at = 0; at < 500; at += 1) mesh.write(`vm/${at}`, BYTES);
    const reader = new Reader();
    expect((await reader.next())?.watch).toBeDefined();
    for (let at = 0; at < 200; at += 1) mesh.write("vm/0", new Uint8Array([at]));
    const lines: Line[] = [];
    for (let line = await reader.next(); line !== undefined; line = await reader.next()) lines.push(line);
    expect(lines.at(-1)?.restart?.reason).toMatch(/fell behind/);
    expect(lines.some(isEnd)).toBe(false);
  });

  it("that never reads again is cut off", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const reader = new Reader();
    await reader.until(isEnd);
    for (let at = 0; at < 200; at += 1) mesh.write("vm/a", new Uint8Array([at]));
    vi.advanceTimersByTime(WATCH_GOODBYE_MS);
    await expect(reader.next()).rejects.toThrow("the watcher does not read");
  });

  it("that takes nothing for long, though there is little to take, is cut off", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const reader = new Reader();
    await reader.until(isEnd);
    vi.advanceTimersByTime(WATCH_STALLED_MS + WATCH_HEARTBEAT_MS);
    expect(ended).toBe(1);
    await expect(reader.next()).rejects.toThrow("the watcher does not read");
  });

  it("shows values of our kinds, and of others their first bytes", async () => {
    mesh.write("vm/raw", new Uint8Array(5_000).fill(7));
    const reader = new Reader({ prefix: "" });
    const entries = (await reader.until(isEnd)).map(
      ({ entry }) => entry as Record<string, unknown> | undefined,
    );
    expect(entries.find((entry) => entry?.["key"] === "member")).toMatchObject({ value: { name: "host-1" } });
    const raw = entries.find((entry) => entry?.["key"] === "vm/raw");
    expect(raw).toMatchObject({ bytes: 5_000, cut: true });
    expect(Buffer.from(String(raw?.["base64"]), "base64")).toHaveLength(4_096);
    await reader.cancel();
  });
});

describe("a position", () => {
  it.each([
    ["of another start of the agent", () => "0123456789ab.1", "restart"],
    ["within a snapshot", () => log.position(log.newest, true), "restart"],
    ["that is not reached yet", () => log.position(log.newest + 1), "restart"],
    ["that is none", () => "17", "invalid"],
    ["that is empty", () => "", "invalid"],
    ["of now", () => log.position(log.newest), "resume"],
  ])("%s leads to %s", (_what, position, code) => {
    expect(log.resume(position()).code).toBe(code);
  });

  it("whose changes are forgotten says so, and so does one before all bytes that fit", () => {
    const first = log.position(log.newest);
    for (let at = 0; at < 65; at += 1) mesh.write("vm/a", new Uint8Array([at]));
    expect(log.resume(first)).toEqual({
      code: "restart",
      reason: "what followed this position is forgotten",
    });
    const second = log.position(log.newest);
    for (let at = 0; at < 3; at += 1) mesh.write("vm/b", new Uint8Array(50_000).fill(at));
    expect(log.resume(second).code).toBe("restart");
  });

  it("is resumed with exactly the changes after it, or refused, whatever came and was dropped", () => {
    const change = (key: string, counter: number): EntryChange => {
      const version = { incarnation: 1, startId: 1, counter };
      return { owner: mesh.self.owner, key, value: null, version, path: "own", from: null };
    };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(100), fc.nat(100), (changesMax, count, from) => {
        let add: (change: EntryChange) => void = () => undefined;
        const onChange: Mesh["onChange"] = (listener) => {
          add = listener;
          return () => undefined;
        };
        const small = new ChangeLog({ onChange }, { changesMax, bytesMax: 10_000 });
        for (let counter = 1; counter <= count; counter += 1) add(change("vm/a", counter));
        expect(small.newest).toBe(count);
        const resumption = small.resume(small.position(from));
        if (resumption.code !== "resume") {
          expect(from > count || count - from > changesMax - (changesMax >> 3) - 1).toBe(true);
          return;
        }
        const counters = [];
        for (let number = from + 1; number <= count; number += 1)
          counters.push(small.at(number)?.version.counter);
        expect(counters).toEqual(Array.from({ length: count - from }, (_, at) => from + 1 + at));
      }),
    );
  });
});
