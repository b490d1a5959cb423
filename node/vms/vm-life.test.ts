import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appName, memberName, newVmEntry, type VmEntry } from "../../mesh/index.ts";
import type { VmHandle } from "./vm-driver.ts";
import { release, vm } from "./vm-host-harness.ts";
import { type LifeInput, VmLife } from "./vm-life.ts";
import type { LifeEffect } from "./vm-life-effect.ts";
import type { VmRecord } from "./vm-record.ts";

const entry = newVmEntry({ vm, app: appName("hello"), release: 1, host: memberName("host-1") });
const handle: VmHandle = { driver: "fake", vm, identity: { number: 1 } };
const exit = { code: 1, signal: null };

function newLife(): VmLife {
  return new VmLife({
    release: release(),
    bindHost: "127.0.0.1",
    isGated: false,
    entry,
    state: { state: "idle" },
  });
}

/** A life whose shell answers when the test says so. */
class Play {
  readonly life: VmLife = newLife();
  nowMs = 1_000;
  /** The effects of the last input, as words. */
  last: string[] = [];
  #token = 0;

  say(input: LifeInput): this {
    return this.#take(this.life.step(input, this.nowMs));
  }
  answer(input: object): this {
    return this.say({ token: this.#token, ...input } as LifeInput);
  }
  /** Up to a running process. */
  run(): this {
    return this.answer({ type: "prepared" })
      .answer({ type: "placed", port: 20_001 })
      .answer({ type: "started", handle });
  }
  health(health: "healthy" | "unhealthy"): this {
    return this.answer({ type: "health", health, reason: null, lastLines: [] });
  }
  crash(): this {
    return this.answer({ type: "exited", exit, lastLines: ["oh"] });
  }
  /** The delay of the restart that the last input scheduled. */
  get delay(): string | undefined {
    return this.last.find((word) => word.startsWith("schedule-restart"));
  }

  #take(effects: readonly LifeEffect[]): this {
    for (const effect of effects) if ("token" in effect) this.#token = effect.token;
    this.last = effects.filter((effect) => effect.type !== "log").map(describeEffect);
    return this;
  }
}

function describeEffect(effect: LifeEffect): string {
  if (effect.type === "publish") return `publish ${effect.entry?.state ?? "nothing"}`;
  if (effect.type === "schedule-restart") return `schedule-restart in ${effect.delayMs}`;
  if (effect.type !== "save") return effect.type;
  return `save${effect.record.handle ? " handle" : ""}${effect.record.starting ? " starting" : ""}`;
}

describe("VmLife", () => {
  it("writes a start down before it happens, and the process before it is published", () => {
    const play = new Play();
    expect(play.say({ type: "want", phase: "starting" }).last).toEqual([
      "save",
      "publish preparing",
      "prepare",
    ]);
    expect(play.answer({ type: "prepared" }).last).toEqual(["place"]);
    expect(play.answer({ type: "placed", port: 20_001 }).last).toEqual(["save starting", "start"]);
    expect(play.answer({ type: "started", handle }).last).toEqual([
      "save handle",
      "publish running",
      "watch",
    ]);
    expect(play.health("healthy").last).toEqual(["save handle", "publish running"]);
    expect(play.life.entry).toMatchObject({
      healthyAtMs: 1_000,
      address: { host: "127.0.0.1", port: 20_001 },
    });
  });

  it("stops what nobody wants, and deletes its entry when nothing is left", () => {
    const play = new Play().say({ type: "want", phase: "serving" }).run();
    expect(play.say({ type: "unwant" }).last).toEqual(["cancel", "save handle", "publish stopping", "stop"]);
    expect(play.say({ type: "unwant" }).last).toEqual([]);
    expect(play.answer({ type: "stopped", exit }).last).toEqual(["cancel", "remove"]);
    expect(play.answer({ type: "removed" }).last).toEqual(["publish nothing"]);
    expect(play.life.describe()).toBe("hello-v1-1 gone, wished removed");
  });

  it("leaves one that ended in phase starting to the rollout, until it shall serve", () => {
    const play = new Play().say({ type: "want", phase: "starting" }).run();
    expect(play.crash().last).toEqual(["cancel", "save", "publish exited"]);
    expect(play.life.entry).toMatchObject({
      reason: "exited with code 1 after 0 ms",
      lastLines: ["oh"],
      exit,
    });
    expect(play.life.isAtRest).toBe(true);
    expect(play.say({ type: "want", phase: "starting" }).last).toEqual([]);
    expect(play.say({ type: "want", phase: "serving" }).delay).toBe("schedule-restart in 100");
  });

  it("starts one that serves again with a backoff that doubles, to a bound, and begins anew after it was well", () => {
    const play = new Play().say({ type: "want", phase: "serving" }).run();
    const delays = Array.from({ length: 9 }, () => {
      const { delay } = play.crash();
      play
        .answer({ type: "restart-due" })
        .answer({ type: "placed", port: 20_001 })
        .answer({ type: "started", handle });
      return delay?.split(" ").at(-1);
    });
    expect(delays).toEqual(["100", "200", "400", "800", "1600", "3200", "6400", "10000", "10000"]);
    expect(play.life.entry.restarts).toBe(9);
    play.health("healthy").nowMs += 29_999;
    expect(play.crash().delay).toBe("schedule-restart in 10000");
    play
      .answer({ type: "restart-due" })
      .answer({ type: "placed", port: 20_001 })
      .answer({ type: "started", handle });
    play.health("healthy").nowMs += 30_000;
    expect(play.crash().delay).toBe("schedule-restart in 100");
  });

  it("tries a failed start again when it shall serve, from its files on", () => {
    const play = new Play().say({ type: "want", phase: "serving" });
    expect(play.answer({ type: "start-failed", reason: "no bundle", lastLines: [] }).last).toEqual([
      "cancel",
      "save",
      "publish failed",
      "schedule-restart in 100",
    ]);
    expect(play.answer({ type: "restart-due" }).last).toContain("prepare");
  });

  it("drops answers of a state that was left", () => {
    const play = new Play().say({ type: "want", phase: "serving" });
    play.say({ type: "prepared", token: 0 });
    expect(play.life.state).toBe("preparing");
    play.run().say({ type: "unwant" });
    for (const late of [
      { type: "exited", token: 4, exit, lastLines: [] },
      { type: "health", token: 4, health: "healthy", reason: null, lastLines: [] },
      { type: "restart-due", token: 2 },
    ] as const) {
      expect(play.say(late).last).toEqual([]);
    }
    expect(play.life.state).toBe("stopping");
  });

  it("goes on with the health that an earlier agent had found", () => {
    const known = { ...entry, state: "running", health: "healthy", healthyAtMs: 5 } as const;
    const life = new VmLife({
      release: release(),
      bindHost: "127.0.0.1",
      isGated: false,
      entry: known,
      state: { state: "running", handle },
    });
    expect(life.resume().map(describeEffect)).toEqual(["save handle", "publish running", "watch"]);
    expect(life.entry).toEqual(known);
    expect(life.phase).toBeNull();
  });

  it("over any wishes and answers: one process at most, never unknown on disk, none left in the end", () => {
    const choice = fc.record({ pick: fc.nat(), good: fc.boolean() });
    fc.assert(
      fc.property(fc.array(choice, { maxLength: 80 }), (choices) => {
        const world = new World();
        for (const { pick, good } of choices) world.step(pick, good);
        world.finish();
      }),
      { numRuns: 500 },
    );
  });
});

/** The shell and its machine: tasks that are under way, the process, the file. Any task may end next, well or not. */
class World {
  readonly #life = newLife();
  #tasks: LifeEffect[] = [];
  #isRunning = false;
  #disk: VmRecord | null = null;
  #published: VmEntry | null = null;

  step(pick: number, good: boolean): void {
    const wishes: LifeInput[] = [
      { type: "want", phase: "starting" },
      { type: "want", phase: "serving" },
      { type: "want", phase: "cordoned" },
      { type: good ? "unwant" : "end" },
    ];
    const at = pick % (wishes.length + 2 * this.#tasks.length);
    const wish = wishes[at];
    if (wish === undefined) this.#endTask((at - wishes.length) % this.#tasks.length, good);
    else this.#input(wish);
  }

  finish(): void {
    this.#input({ type: "want", phase: "serving" });
    this.#input({ type: "unwant" });
    for (let left = 10; this.#tasks.length > 0 && left > 0; left -= 1) this.#endTask(0, true);
    expect(this.#isRunning).toBe(false);
    expect(this.#life.state).toBe("gone");
    expect(this.#published).toBeNull();
  }

  #input(input: LifeInput): void {
    for (const effect of this.#life.step(input, 0)) this.#perform(effect);
    const isKnown = this.#disk?.handle != null || this.#disk?.starting != null;
    if (this.#isRunning) expect(isKnown).toBe(true);
  }

  #perform(effect: LifeEffect): void {
    if (effect.type === "save") this.#disk = effect.record;
    else if (effect.type === "publish") this.#published = effect.entry;
    // A start, a stop and a removal cannot be called back.
    else if (effect.type === "cancel") {
      this.#tasks = this.#tasks.filter((task) => ["start", "stop", "remove"].includes(task.type));
    } else if (effect.type !== "log") this.#tasks.push(effect);
  }

  #endTask(at: number, good: boolean): void {
    const [task] = this.#tasks.splice(at, 1);
    if (task !== undefined && "token" in task) this.#input(this.#answer(task, good));
  }

  #answer(task: LifeEffect & { token: number }, good: boolean): LifeInput {
    const { token } = task;
    const failed: LifeInput = { type: "start-failed", token, reason: "no", lastLines: [] };
    switch (task.type) {
      case "prepare":
        return good ? { type: "prepared", token } : failed;
      case "place":
        return good ? { type: "placed", token, port: 20_001 } : failed;
      case "start":
        expect(this.#isRunning).toBe(false);
        this.#isRunning = good;
        return good ? { type: "started", token, handle } : failed;
      case "watch":
        if (good) {
          this.#tasks.push(task);
          return { type: "health", token, health: "healthy", reason: null, lastLines: [] };
        }
        this.#isRunning = false;
        return { type: "exited", token, exit, lastLines: [] };
      case "stop":
        this.#isRunning = false;
        return { type: "stopped", token, exit };
      case "remove":
        expect(this.#isRunning).toBe(false);
        return { type: "removed", token };
      default:
        return { type: "restart-due", token };
    }
  }
}
