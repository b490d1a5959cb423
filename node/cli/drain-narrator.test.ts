import { describe, expect, it } from "vitest";
import { appName, memberName, vmName } from "../../mesh/index.ts";
import { fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { DrainView, StayView } from "../deploy/drain-view.ts";
import { DrainNarrator, leftLines } from "./drain-narrator.ts";

const HOST = memberName("host-2");

function stay(name: string, changes: Partial<StayView> = {}): StayView {
  const fresh = {
    state: "due",
    why: "waits for its turn",
    advice: null,
    rollout: null,
    inMs: null,
    view: null,
  };
  return { app: appName(name), vms: [vmName(`${name}-v1-1`)], ...fresh, ...changes } as StayView;
}

function view(...apps: readonly StayView[]): DrainView {
  return { host: HOST, use: "draining", connected: true, empty: apps.length === 0, apps };
}

/** Its move waits for proxy-2. */
function moving(name: string): StayView {
  const waitingFor = [{ who: memberName("proxy-2"), what: "to acknowledge epoch 7", forMs: 0, silentMs: 0 }];
  const step = { number: 2, kind: "serve", vms: [vmName(`${name}-v1-2`)], forMs: 0, waitingFor } as const;
  const acks = { have: 1, need: 2, slowest: null };
  const rollout = fakeRollout({ id: `${name}-v1-e5`, kind: "move", step: { ...step, acks }, leaves: HOST });
  const shown = fakeView({ app: appName(name), rollout });
  return stay(name, { state: "moves", why: `moves by ${rollout.id}`, rollout: rollout.id, view: shown });
}

describe("DrainNarrator", () => {
  it("says once what each app does, for whom its move waits, and that it has left", () => {
    const narrator = new DrainNarrator();
    expect(narrator.step(view(moving("one"), stay("two")), 0, 0)).toEqual([
      "host-2 is drained: nothing new is placed there, and 2 apps are to leave",
      "one (one-v1-1): moves by one-v1-e5",
    ]);
    expect(narrator.step(view(moving("one"), stay("two")), 200, 200)).toEqual([]);
    expect(narrator.step(view(moving("one"), stay("two")), 4_000, 4_000)).toEqual([
      "one: step 2 serve one-v1-2 … acks 1/2; waiting for proxy-2 to acknowledge epoch 7, silent for 4.0 s (4.0 s)",
    ]);
    expect(narrator.step(view(stay("two")), 0, 5_000)).toEqual(["one: has left host-2 by one-v1-e5"]);
    expect([...narrator.moved]).toEqual([["one", "one-v1-e5"]]);
  });

  it("says by which rollout an app has left, be it no move of ours", () => {
    const narrator = new DrainNarrator();
    narrator.step(view(moving("one")), 0, 0);
    const deploy = {
      state: "waits",
      why: "waits for the end of one-v2, a deploy",
      rollout: "one-v2",
    } as const;
    narrator.step(view(stay("one", deploy)), 0, 1_000);
    expect(narrator.step(view(), 0, 2_000)).toEqual(["one: has left host-2 by one-v2"]);
    expect([...narrator.moved]).toEqual([["one", "one-v2"]]);
  });

  it("says why an app does not move, and what to do, and again only when that changes", () => {
    const narrator = new DrainNarrator();
    const stuck = {
      state: "stuck",
      why: "does not move while two-v3 is paused",
      advice: "`grapevine resume two`",
    };
    const kept = { state: "waits", why: "keeps v1 there", inMs: 60_000 };
    const first = view(stay("two", stuck as StayView), stay("three", kept as StayView));
    expect(narrator.step(first, 0, 0).slice(1)).toEqual([
      "two (two-v1-1): does not move while two-v3 is paused; `grapevine resume two`",
      "three (three-v1-1): keeps v1 there (goes on by itself in 60 s)",
    ]);
    const later = view(stay("two", stuck as StayView), stay("three", { ...kept, inMs: 10 } as StayView));
    expect(narrator.step(later, 0, 60_000)).toEqual([]);
    expect(narrator.step(view(stay("two")), 0, 61_000)).toEqual(["three: has left host-2"]);
  });

  it("lists what is left for whoever goes", () => {
    expect(leftLines(view(stay("two", { advice: "wait" })))).toEqual([
      "left on host-2:",
      "  two (two-v1-1): waits for its turn; wait",
    ]);
    expect(leftLines(view())).toEqual([]);
  });
});
