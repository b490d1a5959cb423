// scale, restart: more VMs of the release that serves, or fewer, or new ones.

import { z } from "zod";
import { submittedShape } from "../answers.ts";
import { postToApp } from "../ask-app.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type FollowedOptions, followToEnd } from "../follow-to-end.ts";
import { print, printJson, type Session, UsageError, withAgent } from "../session.ts";
import { plainText } from "../table.ts";

const unchangedShape = z.looseObject({ app: z.string(), unchanged: z.literal(true), note: z.string() });

export function scale(app: string, count: string, options: FollowedOptions): Promise<ExitCode> {
  return withAgent("scale", options, async (session) => {
    if (!/^\d{1,6}$/.test(count))
      throw new UsageError(
        `the count must be a whole number of VMs, for example \`grapevine scale ${app} 3\``,
      );
    return askedOf(session, app, { verb: "scale", json: { count: Number(count) } }, options);
  });
}

export function restart(app: string, options: FollowedOptions): Promise<ExitCode> {
  return withAgent("restart", options, (session) => askedOf(session, app, { verb: "restart" }, options));
}

async function askedOf(
  session: Session,
  app: string,
  { verb, json }: { readonly verb: string; readonly json?: object },
  options: FollowedOptions,
): Promise<ExitCode> {
  const answer = await postToApp(session, app, verb, json);
  const unchanged = unchangedShape.safeParse(answer);
  if (!unchanged.success) return followToEnd(session, submittedShape.parse(answer), options);
  const { note } = unchanged.data;
  if (options.json === true) printJson({ app, rollout: null, state: "unchanged", note, exitCode: EXIT.done });
  else print(plainText(`${app}: ${note}: nothing to do`));
  return EXIT.done;
}
