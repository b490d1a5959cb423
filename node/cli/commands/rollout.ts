// vm stop, promote, abort, resume, destroy: ask, then follow to the end.

import { submittedShape } from "../answers.ts";
import { submitToApp } from "../ask-app.ts";
import type { ExitCode } from "../exit-code.ts";
import { type FollowedOptions, followToEnd } from "../follow-to-end.ts";
import { withAgent } from "../session.ts";

export async function stopVm(vm: string, options: FollowedOptions): Promise<ExitCode> {
  return withAgent("vm stop", options, async (session) => {
    const asked = { method: "POST", path: `/v1/vms/${encodeURIComponent(vm)}/stop` } as const;
    const submitted = submittedShape.parse(await session.client.json(asked, session.signal));
    return followToEnd(session, submitted, options);
  });
}

export async function promote(app: string, options: FollowedOptions): Promise<ExitCode> {
  return askedOfApp("promote", app, options);
}

export async function abort(app: string, options: FollowedOptions): Promise<ExitCode> {
  return askedOfApp("abort", app, options);
}

export async function resume(app: string, options: FollowedOptions): Promise<ExitCode> {
  return askedOfApp("resume", app, options);
}

function askedOfApp(
  verb: "promote" | "abort" | "resume",
  app: string,
  options: FollowedOptions,
): Promise<ExitCode> {
  return withAgent(verb, options, async (session) => {
    return followToEnd(session, await submitToApp(session, app, verb), options);
  });
}

export interface DestroyOptions extends FollowedOptions {
  readonly removeData?: boolean;
}

export async function destroy(app: string, options: DestroyOptions): Promise<ExitCode> {
  return withAgent("destroy", options, async (session) => {
    const query = options.removeData === true ? "?data=remove" : "";
    const asked = { method: "DELETE", path: `/v1/apps/${encodeURIComponent(app)}${query}` } as const;
    const submitted = submittedShape.parse(await session.client.json(asked, session.signal));
    return followToEnd(session, submitted, options);
  });
}
