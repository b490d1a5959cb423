// A canary as its users meet it: a good release gets all requests in the end, a bad one goes back by itself before many have seen it,
// and one that nobody asks anything stands and says so.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Sample } from "../../node/cli/demo/load-client.ts";
import type { CliResult } from "../harness/cli.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
});
afterAll(async () => {
  await scenario.stop();
});

/** Each request takes so long, so that a release that is five times slower differs from a machine with too much to do. */
const DELAY_MS = 100;
/** Of the release's start: such a machine takes its time. */
const gracePeriod = "30s";
const CANARY = ['strategy = "canary"', "[canary]", "weights = [20, 50]", 'bake = "1s"', "min_requests = 50"];

/** Percent of the samples that are of `release`. */
function shareOf(samples: readonly Sample[], release: string): number {
  return (100 * samples.filter((sample) => sample.release === release).length) / samples.length;
}

function reasonOf({ stdout }: CliResult): string {
  return /^reason: (.*)$/m.exec(stdout)?.[1] ?? "no reason";
}

/** "0.62 % of 1612 requests saw it, at a weight of 20 %", in numbers. */
function toldShare({ stdout }: CliResult): { readonly share: number; readonly weight: number } {
  const [, share, weight] = /([\d.]+) % of \d+ requests saw it, at a weight of (\d+) %/.exec(stdout) ?? [];
  return { share: Number(share), weight: Number(weight) };
}

describe("a canary", () => {
  test("of a good release takes over, and fails no request", async () => {
    const app = scenario.app({ greeting: "one", delayMs: DELAY_MS, gracePeriod });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
    const client = scenario.load({ ratePerSecond: 200 });
    app.change({ greeting: "two", delayMs: DELAY_MS, gracePeriod, deploy: CANARY });
    const result = await scenario.run(["deploy", app.file]);
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
    expect(result.stdout).toMatch(/step \d+ bake web-v2-1: v2 \d+ of \d+ failed, v1 \d+ of \d+ failed/);
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
    expect(scenario.runningVms()).toEqual(["web-v2-1"]);
  });

  test.each([
    {
      what: "three percent of whose requests fail",
      release: "v3",
      errorShare: 0.03,
      delayMs: DELAY_MS,
      sign: "failed",
    },
    {
      what: "that is five times slower",
      release: "v4",
      errorShare: 0,
      delayMs: 5 * DELAY_MS,
      sign: "waited longer",
    },
  ])("of a release $what goes back by itself, before more saw it than its weight", async (bad) => {
    const { release, errorShare, delayMs, sign } = bad;
    const app = scenario.app({ greeting: release, errorShare, delayMs, gracePeriod, deploy: CANARY });
    const client = scenario.load({ ratePerSecond: 200 });
    const result = await scenario.run(["deploy", app.file]);
    const samples = await client.stop();
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 1 });
    expect(result.stdout).toContain(`${release} is worse than v2: `);
    expect(result.stdout).toContain(sign);
    const told = toldShare(result);
    const ofClients = shareOf(samples, release).toFixed(2);
    process.stdout.write(
      `${release}, ${bad.what}: ${reasonOf(result)}; ${ofClients} % of all its clients' requests\n`,
    );
    expect(told.share).toBeLessThanOrEqual(told.weight);
    // As its clients saw it, from the deploy's begin to its end.
    expect(shareOf(samples, release)).toBeGreaterThan(0);
    expect(shareOf(samples, release)).toBeLessThan(told.weight);
    const others = samples.filter((sample) => sample.release !== release);
    expect(failures(others)).toEqual(NO_FAILURES);
    expect(scenario.runningVms()).toEqual(["web-v2-1"]);
  });

  test("that nobody asks anything is paused, says why, and goes back when told to", async () => {
    const app = scenario.app({ greeting: "five", waitTimeout: "10s", gracePeriod, deploy: CANARY });
    const deploy = scenario.start(["deploy", app.file]);
    await deploy.waitFor(/paused at step 4 bake: v5 got 0 requests of the 50 that min_requests asks for/);
    const aborted = await scenario.run(["abort", "web"]);
    expect(aborted, aborted.stdout + aborted.stderr).toMatchObject({ code: 5 });
    expect((await deploy.result).code).toBe(5);
    expect(scenario.runningVms()).toEqual(["web-v2-1"]);
  });
});
