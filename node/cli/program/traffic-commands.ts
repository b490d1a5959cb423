// traffic, rollback, hold, release, pause, resume: where requests go, and whether a deploy goes on.

import type { Command } from "commander";
import type { HoldOptions } from "../commands/hold.ts";
import type { RollbackOptions } from "../commands/traffic.ts";
import type { FollowedOptions } from "../follow-to-end.ts";
import type { ClientOptions } from "../session.ts";
import { asking, EXIT_CODES, type SetExitCode } from "./asking.ts";

const DETACH = "return once it is submitted (exit code 3: the end is not known)";

const HOLD_WORDS = {
  hold: {
    what: "Has every proxy keep the app's requests, and send none to a VM, until `release`. Returns once each does.\nWhat is above `[hold] max_age`, `max_requests` or `max_bytes` gets 503. No VM is stopped, and a deploy that runs goes on.",
    example: "grapevine hold hello",
  },
  release: {
    what: "Has the requests that `hold` kept sent on, in the order in which they came. Returns once no proxy keeps any for that.",
    example: "grapevine release hello",
  },
} as const;

export function addTrafficCommands(program: Command, setExitCode: SetExitCode): void {
  const traffic = program
    .command("traffic")
    .description("How an app's requests are split over its releases.");
  asking(
    traffic,
    "get <app>",
    "Shows which share each release gets, and which could get one.",
    "grapevine traffic get hello",
  ).action(async (app: string, options: ClientOptions) => {
    setExitCode(await (await import("../commands/traffic.ts")).getTraffic(app, options));
  });
  asking(
    traffic,
    "set <app> <weights...>",
    "Splits the requests as said, in whole percents that sum to 100; 0 is what is not named. Returns when every proxy keeps to it.\nReleases that serve, wait for approval, or are kept (keep_old) can have a share.",
    "grapevine traffic set hello v2=10 v1=90\ngrapevine traffic set hello v1=100",
  )
    .option("--detach", DETACH)
    .addHelpText("after", EXIT_CODES)
    .action(async (app: string, weights: string[], options: FollowedOptions) => {
      setExitCode(await (await import("../commands/traffic.ts")).setTraffic(app, weights, options));
    });
  asking(
    program,
    "rollback <app>",
    "Goes back to the release before. While that is kept (keep_old) it is one step that touches no VM; after that it is deployed again.",
    "grapevine rollback hello\ngrapevine rollback hello --to v7",
  )
    .option("--to <release>", "the release to go back to; the last that served before if not said")
    .option("--detach", DETACH)
    .addHelpText("after", EXIT_CODES)
    .action(async (app: string, options: RollbackOptions) => {
      setExitCode(await (await import("../commands/traffic.ts")).rollback(app, options));
    });
  for (const verb of ["hold", "release"] as const) {
    const { what, example } = HOLD_WORDS[verb];
    asking(program, `${verb} <app>`, what, example)
      .option("--wait-timeout <duration>", "give up waiting for proxies after it; 30s if not said")
      .addHelpText("after", EXIT_CODES)
      .action(async (app: string, options: HoldOptions) => {
        setExitCode(await (await import("../commands/hold.ts")).changeHold(verb, app, options));
      });
  }
  asking(
    program,
    "pause <app>",
    "Holds a deploy where it is: it takes no step and no deadline counts until `resume` or `abort`.",
    "grapevine pause hello",
  ).action(async (app: string, options: ClientOptions) => {
    setExitCode(await (await import("../commands/traffic.ts")).pause(app, options));
  });
  asking(
    program,
    "resume <app>",
    "Lets a deploy that is paused go on, and follows it to the end.",
    "grapevine resume hello",
  )
    .option("--detach", DETACH)
    .action(async (app: string, options: FollowedOptions) => {
      setExitCode(await (await import("../commands/rollout.ts")).resume(app, options));
    });
}
