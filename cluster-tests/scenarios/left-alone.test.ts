// Deploys whose command is left alone: by Ctrl-C, by a terminal that is closed, by the death of the agent that it asks. Each goes on to its end by
// itself, no request fails, and from another host `status -w` follows it to there.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppFolder } from "../harness/app-folder.ts";
import type { CliResult, RunningCli } from "../harness/cli.ts";
import { untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
let app: AppFolder;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
  app = scenario.app({ greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
});
afterAll(() => scenario.stop());

const ASKED = "host-2";
const ELSEWHERE = "host-3";

interface Leaving {
  readonly how: string;
  readonly leave: (deploy: RunningCli) => void;
  /** What the command itself still says of it. */
  readonly judge: (result: CliResult) => void;
}

const LEAVINGS: readonly Leaving[] = [
  {
    how: "Ctrl-C",
    leave: ({ process: command }) => void command.kill("SIGINT"),
    judge: (result) => {
      expect(result).toMatchObject({ code: 3 });
      expect(result.stdout).toMatch(/detached; the rollout goes on; follow it with `grapevine status/);
    },
  },
  {
    how: "a closed terminal",
    leave: ({ process: command }) => {
      command.stdout?.destroy();
      command.stderr?.destroy();
      command.kill("SIGHUP");
    },
    judge: (result) => expect(result.code).not.toBe(0),
  },
  {
    how: "a killed agent",
    leave: () => void process.kill(scenario.pid(ASKED), "SIGKILL"),
    judge: (result) => expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 }),
  },
];

test.each(LEAVINGS)(
  "a deploy that is left by $how ends by itself, and is followed from another host",
  async ({ how, leave, judge }) => {
    const client = scenario.load();
    const frozen = scenario.pid("proxy-2");
    app.change({ greeting: `left by ${how}` });
    const watch = scenario.start(["status", "-w", "web"], ELSEWHERE);
    process.kill(frozen, "SIGSTOP");
    try {
      const deploy = scenario.start(["deploy", app.file], ASKED);
      const { rollout } = await untilView(scenario.api(), "web", ({ rollout: seen }) =>
        Boolean(seen?.step?.waitingFor.some(({ who }) => who === "proxy-2")),
      );
      await watch.waitFor(new RegExp(`${rollout?.id}: deploy from v\\d+ to v\\d+, driven by`));
      leave(deploy);
      process.kill(frozen, "SIGCONT");
      await watch.waitFor(new RegExp(`${rollout?.id}: succeeded after .* serves on every proxy with 1 VM`));
      judge(await deploy.result);
    } finally {
      process.kill(frozen, "SIGCONT");
    }
    watch.process.kill("SIGINT");
    const { code, stdout } = await watch.result;
    expect(code).toBe(0);
    expect(stdout).toMatch(/step \d+ stop .*: gone/);
    expect(failures(await client.stop())).toEqual(NO_FAILURES);
  },
);
