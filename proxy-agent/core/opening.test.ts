import { describe, expect, test } from "vitest";
import { appName, encodeRecord, type Hold, type VmEntry, vmKey, vmName } from "../../mesh/index.ts";
import { appRecord, desiredVm, HOST_1, type RecordOptions, vmEntry } from "../testing/cluster.ts";
import { type FlightId, Gate } from "./gate.ts";
import { RouteFold } from "./route-fold.ts";
import { type AppRoute, isHeld } from "./route-table.ts";
import { pickSticky } from "./sticky.ts";

const HELLO = appName("hello");
const NEXT = "hello-v2-1";

/** A proxy whose record holds the app's requests for a VM that is opening. */
class HoldingProxy {
  readonly #fold = new RouteFold();
  #counter = 0;

  constructor(by: Hold["by"], options: Partial<RecordOptions> = {}) {
    const record = { ...appRecord({ vms: [desiredVm(NEXT, "opening")], ...options }), hold: { by, atMs: 0 } };
    this.#fold.takeCommitted({ epoch: 6, record });
  }

  says(over: Partial<VmEntry>): void {
    this.#counter += 1;
    const version = { incarnation: 1, startId: 1, counter: this.#counter };
    const value = encodeRecord(vmEntry(NEXT, 20_001, over));
    this.#fold.takeEntry({ key: vmKey(vmName(NEXT)), value, version }, HOST_1);
  }

  away(isAway: boolean): void {
    this.#fold.setAway(new Set(isAway ? [HOST_1] : []));
  }

  get route(): AppRoute {
    const route = this.#fold.build().apps.get(HELLO);
    if (route === undefined) throw new Error("no route");
    return route;
  }

  /** "held", or the VMs to which requests go. */
  get sendsTo(): string {
    const names = this.route.endpoints.map(({ vm }) => vm).join(" ");
    return isHeld(this.route) ? `held${names === "" ? "" : ` for ${names}`}` : names;
  }
}

describe("what a proxy holds for a VM that is opening", () => {
  test.each(["rollout", "idle", "launch"] as const)(
    "by %s, goes there once its host says that it is healthy, and is held again when that says otherwise",
    (by) => {
      const proxy = new HoldingProxy(by);
      expect(proxy.sendsTo).toBe("held");
      proxy.says({ health: "unknown" });
      expect(proxy.sendsTo).toBe("held");
      proxy.says({ health: "healthy" });
      expect(proxy.sendsTo).toBe(NEXT);
      proxy.says({ health: "unhealthy" });
      expect(proxy.sendsTo).toBe("held");
      proxy.says({ state: "exited", health: "unknown" });
      expect(proxy.sendsTo).toBe("held");
    },
  );

  test("waits while its host is held dead: what that said last is old news", () => {
    const proxy = new HoldingProxy("rollout");
    proxy.says({ health: "healthy" });
    proxy.away(true);
    expect(proxy.sendsTo).toBe("held");
    proxy.away(false);
    expect(proxy.sendsTo).toBe(NEXT);
  });

  test("stays a person's, however well it is", () => {
    const proxy = new HoldingProxy("person");
    proxy.says({ health: "healthy" });
    expect(isHeld(proxy.route)).toBe(true);
  });

  test("waits while it is behind a gate that this proxy does not know", () => {
    const proxy = new HoldingProxy("rollout");
    proxy.says({ health: "healthy", gated: true });
    expect(proxy.sendsTo).toBe("held");
  });

  test("goes there also for clients that are never sent back", () => {
    const proxy = new HoldingProxy("idle", { cutover: "sticky" });
    proxy.says({ health: "healthy" });
    const { clients, endpoints } = proxy.route;
    if (clients?.mode !== "sticky") throw new Error("not sticky");
    const choice = { tried: new Set<never>(), inFlight: () => 0, isSuspect: () => false, random: () => 0.5 };
    for (const floor of [null, 2])
      expect(pickSticky({ clients, endpoints }, { place: 0, floor }, choice)?.vm).toBe(NEXT);
  });

  test("keeps no acknowledgement back: nobody has to have reached it", () => {
    const proxy = new HoldingProxy("rollout");
    expect(proxy.route).toMatchObject({ awaited: [], missing: [], unaddressed: [], lost: [] });
    proxy.says({ health: "healthy" });
    expect(proxy.route).toMatchObject({ awaited: [], missing: [], unaddressed: [], lost: [] });
  });
});

test("a gate lets requests through to a VM that is opening, and confirms that it closed once it is not", () => {
  const gate = new Gate({ host: HOST_1 });
  const of = (phase: "opening" | "cordoned") => appRecord({ vms: [desiredVm(NEXT, phase)] });
  gate.step({ type: "restored", apps: [{ epoch: 6, record: of("opening") }], isOpened: true }, 0);
  const ask = (flight: number, epoch: number) =>
    gate.step({ type: "request", flight: flight as FlightId, app: HELLO, vm: vmName(NEXT), epoch }, 0);
  expect(ask(1, 6)).toMatchObject([{ type: "admit" }]);
  gate.step({ type: "record", committed: { epoch: 7, record: of("cordoned") } }, 0);
  gate.step({ type: "persisted", app: HELLO, epoch: 7 }, 0);
  expect(ask(2, 7)).toMatchObject([{ type: "refuse", why: "closed" }]);
  expect(gate.standing(HELLO)).toMatchObject({ epoch: 7, inFlight: [{ vm: NEXT, requests: 1 }] });
});
