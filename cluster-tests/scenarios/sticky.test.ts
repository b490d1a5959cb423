// What each client may count on while releases change over. Sticky: clients that hop between proxies that are current, behind, frozen, killed,
// new and gone, through the weights 0, 10, 50 and 100, none of whom sees the old release after the new one. Pinned: what a page loads comes
// from the page's release until its time is over. The app has no gate: nothing but the cookies and the proxies keeps the promise.

import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import { placeOf } from "../../proxy-agent/core/sticky.ts";
import { type Asking, CookieClient, goingsBack, Hopping, type Seen } from "../harness/cookie-clients.ts";
import { type CutOffProxy, cutOffProxy } from "../harness/cut-off-proxy.ts";
import { PATIENCE_MS, until, untilView } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

const SEED = Number(process.env["STICKY_SEED"] ?? 1);
/** Times through all the weights, each a deploy. */
const ROUNDS = Number(process.env["STICKY_ROUNDS"] ?? 1);
const CLIENTS = 16;
/** New clients, at each proxy after each step. */
const FRESH = 60;
const HOST = "web.localhost";
const STICKY = ['strategy = "bluegreen"', 'approval = "manual"', 'cutover = "sticky"'];
const GATE = "off";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 3 });
});
afterAll(() => scenario.stop());

const random = seededRandom(SEED);
let addresses = 0;

/** None had this address before. */
function client(): CookieClient {
  addresses += 1;
  return new CookieClient(`10.${addresses >> 16}.${(addresses >> 8) & 255}.${addresses & 255}`);
}

/** Of a client that shows no cookie, by what it is sent under. */
function placeAt(address: string): number {
  return placeOf(["web", address, ""]);
}

function own(): readonly Asking["proxy"][] {
  return scenario.view.proxies.map(({ name, http }) => [name, http] as const);
}

function proxyNamed(name: string): Asking["proxy"] {
  return [name, scenario.proxy(name).http];
}

async function done(code: number, ...args: string[]): Promise<void> {
  const result = await scenario.run(args);
  expect(result, result.stdout + result.stderr).toMatchObject({ code });
}

/** What every one of these proxies really does by `weight`, asked by new clients, each of whose places is known. */
async function judgeDispatches(
  proxies: readonly Asking["proxy"][],
  weight: number,
  to: number,
): Promise<void> {
  const shares: string[] = [];
  for (const proxy of proxies) {
    const fresh = Array.from({ length: FRESH }, client);
    const seen = await Promise.all(fresh.map((one) => one.ask({ proxy, host: HOST })));
    const wrong = seen.filter(
      ({ client: address, release }) => release !== (placeAt(address) < 100 * weight ? to : to - 1),
    );
    // Each by its place is what is promised; a release that is held unwell for a moment, on a machine with much to do, yields for that long.
    expect(wrong.length, `${proxy[0]} at ${weight}%: ${JSON.stringify(wrong)}`).toBeLessThanOrEqual(
      FRESH / 50,
    );
    shares.push(`${proxy[0]} ${seen.filter(({ release }) => release === to).length}`);
  }
  process.stdout.write(`v${to}=${weight}: of ${FRESH} new clients to v${to}: ${shares.join(", ")}\n`);
}

/** A client whose place is in at `weight`, and was not at `before`. */
function mover(before: number, weight: number): CookieClient {
  for (;;) {
    const one = client();
    const place = placeAt(one.address);
    if (place >= 100 * before && place < 100 * weight) return one;
  }
}

/** Of clients that got the new release through `proxy-1` what a proxy answers that is behind: with what they show, and without. */
interface Behind {
  readonly held: readonly Seen[];
  readonly control: readonly Seen[];
}

/** All that could tell a proxy of a record. */
function signalOthers(signal: "SIGSTOP" | "SIGCONT"): void {
  for (const { pid } of [...scenario.view.agents, scenario.proxy("proxy-1")]) process.kill(pid, signal);
}

/**
 * `proxy-3` died before the step, and comes back with what its disk has of before, while nobody says anything: who shows nothing is
 * answered by that, who shows the new release waits until the others speak again.
 */
async function throughReturned(movers: readonly CookieClient[]): Promise<Behind> {
  signalOthers("SIGSTOP");
  try {
    await scenario.cluster.restart("proxy-3");
    const proxy = proxyNamed("proxy-3");
    const control = await Promise.all(movers.map((one) => one.twin(false).ask({ proxy, host: HOST })));
    const held = movers.map((one) => one.twin(true).ask({ proxy, host: HOST }));
    signalOthers("SIGCONT");
    return { held: await Promise.all(held), control };
  } finally {
    signalOthers("SIGCONT");
  }
}

/** `proxy-2` was frozen before the step, and has all at once to read when it goes on: what it is told of it, and requests. */
async function throughFrozen(movers: readonly CookieClient[]): Promise<Behind> {
  const proxy = proxyNamed("proxy-2");
  const held = movers.map((one) => one.twin(true).ask({ proxy, host: HOST }));
  const control = movers.map((one) => one.twin(false).ask({ proxy, host: HOST }));
  process.kill(scenario.pid("proxy-2"), "SIGCONT");
  return { held: await Promise.all(held), control: await Promise.all(control) };
}

/** One step: a proxy is dead, one is frozen, one that joined before leaves, and another joins. How often the control went back. */
async function step(
  { before, weight, to }: { readonly before: number; readonly weight: number; readonly to: number },
  guest: { now: CutOffProxy | null },
): Promise<number> {
  const startedMs = performance.now();
  const leaving = guest.now;
  guest.now = null;
  await scenario.cluster.lose("proxy-3");
  process.kill(scenario.pid("proxy-2"), "SIGSTOP");
  const set = scenario.start(["traffic", "set", "web", `v${to}=${weight}`, `v${to - 1}=${100 - weight}`]);
  await leaving?.stop();
  const movers = Array.from({ length: 10 }, () => mover(before, weight));
  await until("the new release, through proxy-1", async () => {
    const proxy = proxyNamed("proxy-1");
    const answers = await Promise.all(movers.map((one) => one.ask({ proxy, host: HOST })));
    return answers.every(({ release }) => release === to) ? true : null;
  });
  expect(set.process.exitCode).toBeNull();
  const returned = await throughReturned(movers);
  guest.now = await cutOffProxy(scenario.cluster.stateDir);
  const frozen = await throughFrozen(movers);
  const result = await set.result;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  const held = [...returned.held, ...frozen.held];
  // At worst the proxy could not learn it in time, and says so.
  expect(held.filter(({ status, release }) => release !== to && status !== 503)).toEqual([]);
  expect(held.some(({ release }) => release === to)).toBe(true);
  const countOf = ({ control }: Behind) => control.filter(({ release }) => release === to - 1).length;
  const backs = [countOf(returned), countOf(frozen)];
  process.stdout.write(
    `v${to}=${weight} after ${Math.round(performance.now() - startedMs)} ms: of ${movers.length} clients that had v${to} and show nothing a proxy that came back sent ${backs[0]} to v${to - 1}, one that was frozen ${backs[1]}; of as many that show it none\n`,
  );
  await judgeDispatches([...own(), [guest.now.name, guest.now.http]], weight, to);
  return countOf(returned) + countOf(frozen);
}

test(
  "pinned: what a page loads comes from the page's release until its time is over, and never fails",
  async () => {
    const pinned = ['strategy = "immediate"', 'cutover = "pinned"', 'pin_max_age = "2s"'];
    const [name, host] = ["site", "site.localhost"];
    const app = scenario.app({ name, greeting: "v1", count: 2, deploy: pinned });
    await done(0, "deploy", app.file);
    const navigation = { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate" };
    const script = { "sec-fetch-dest": "script", "sec-fetch-mode": "no-cors" };
    const page = client();
    expect(await page.ask({ proxy: proxyNamed("proxy-1"), host, headers: navigation })).toMatchObject({
      release: 1,
    });
    const pages = Array.from({ length: 4 }, () => page.twin(true));
    const loads: Seen[] = [];
    let isOver = false;
    const loading = Promise.all(
      pages.map(async (one) => {
        while (!isOver) {
          for (const proxy of own()) loads.push(await one.ask({ proxy, host, headers: script }));
        }
      }),
    );
    app.change({ name, greeting: "v2", count: 2, deploy: pinned });
    await done(0, "deploy", app.file);
    const deployedMs = performance.now();
    for (const proxy of own()) {
      expect(await client().ask({ proxy, host, headers: navigation })).toMatchObject({ release: 2 });
      expect(await client().ask({ proxy, host, headers: script })).toMatchObject({ release: 2 });
    }
    const isOld = (vm: string) => vm.startsWith("site-v1-");
    expect(scenario.runningVms().filter(isOld)).toHaveLength(2);
    await until("the old VMs are retired", () => (scenario.runningVms().some(isOld) ? null : true));
    const retiredMs = performance.now();
    await until("an asset of the new release", () => (loads.at(-1)?.release === 2 ? true : null));
    isOver = true;
    await loading;
    const first = loads.find(({ release }) => release === 2);
    process.stdout.write(
      `${loads.length} loads; the first from the new release ${Math.round((first?.startedMs ?? 0) - deployedMs)} ms after the deploy's end, old VMs gone after ${Math.round(retiredMs - deployedMs)} ms\n`,
    );
    expect(loads.filter(({ status }) => status !== 200)).toEqual([]);
    const early = loads.filter(({ release, endedMs }) => release !== 1 && endedMs < deployedMs);
    expect(early).toEqual([]);
    expect(goingsBack(loads.filter(({ proxy }) => proxy === "proxy-1"))).toEqual([]);
    // And the page itself, loaded anew.
    expect(await page.ask({ proxy: proxyNamed("proxy-2"), host, headers: navigation })).toMatchObject({
      release: 2,
    });
  },
  2 * PATIENCE_MS,
);

test(
  "sticky: no client sees the old release after the new one, and exit 0 of each step is what every proxy does",
  async () => {
    process.stdout.write(`STICKY_SEED=${SEED} STICKY_ROUNDS=${ROUNDS}\n`);
    const app = scenario.app({ greeting: "v1", count: 2, gate: GATE, deploy: ['cutover = "sticky"'] });
    await done(0, "deploy", app.file);
    const guest: { now: CutOffProxy | null } = { now: null };
    const proxies = () => {
      const { now } = guest;
      return now === null ? own() : [...own(), [now.name, now.http] as const];
    };
    const clients = Array.from({ length: CLIENTS }, client);
    const hopping = new Hopping({ clients, host: HOST, proxies, random });
    let backs = 0;
    try {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const to = round + 1;
        app.change({ greeting: `v${to}`, count: 2, gate: GATE, deploy: STICKY });
        const following = scenario.start(["deploy", app.file]);
        await untilView(scenario.api(), "web", (view) => view.rollout?.step?.kind === "approve");
        await judgeDispatches(proxies(), 0, to);
        backs += await step({ before: 0, weight: 10, to }, guest);
        backs += await step({ before: 10, weight: 50, to }, guest);
        backs += await step({ before: 50, weight: 100, to }, guest);
        // The last one is left at that: what a promotion does is told elsewhere.
        if (round === ROUNDS) break;
        await done(0, "promote", "web");
        expect(await following.result).toMatchObject({ code: 0 });
      }
      judgeLog(await hopping.stop());
      // The same without the cookies goes back: the attack is one.
      expect(backs).toBeGreaterThan(0);
    } finally {
      await hopping.stop();
      await guest.now?.stop();
    }
  },
  (2 + ROUNDS) * PATIENCE_MS,
);

function judgeLog(log: readonly Seen[]): void {
  const of = (status: number | null) => log.filter((seen) => seen.status === status);
  // A connection to a proxy that was killed under it, or to one that had left, and a wait that took a proxy too long: it asks another one.
  const [answered, broken, told] = [of(200), of(null), of(503)];
  process.stdout.write(
    `${log.length} requests of ${CLIENTS} clients: ${answered.length} answered, ${broken.length} connections broken, ${told.length} told to come back\n`,
  );
  expect(answered.length).toBeGreaterThan(10 * CLIENTS);
  expect(new Set(answered.map(({ release }) => release)).size).toBe(ROUNDS + 1);
  expect(answered.length + broken.length + told.length).toBe(log.length);
  expect(goingsBack(log)).toEqual([]);
}
