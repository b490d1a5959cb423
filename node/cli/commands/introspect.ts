// status --hosts, diff, why: who is behind, what two members hold differently, and what is known of one VM.

import { EXIT, type ExitCode } from "../exit-code.ts";
import { diffViewShape, syncViewShape, whyViewShape } from "../introspection-answers.ts";
import { diffText, syncText, whyText } from "../introspection-tables.ts";
import { ask, type ClientOptions, print, printJson, UsageError, withAgent } from "../session.ts";

/** The agent asks every member, up to two seconds each, up to three times one after the other. */
const ANSWER_TIMEOUT_MS = 15_000;

export function statusOfHosts(app: string | undefined, options: ClientOptions): Promise<ExitCode> {
  return withAgent("status", options, async (session) => {
    if (app !== undefined) throw new UsageError("--hosts shows the hosts and proxies: leave the app out");
    const view = await ask(session, "/v1/sync", syncViewShape, ANSWER_TIMEOUT_MS);
    show(options, view, syncText);
    return EXIT.done;
  });
}

/** 1: they differ. */
export function diff(a: string, b: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("diff", options, async (session) => {
    const query = new URLSearchParams({ a, b });
    const view = await ask(session, `/v1/diff?${query}`, diffViewShape, ANSWER_TIMEOUT_MS);
    show(options, view, diffText);
    return view.equal ? EXIT.done : EXIT.failed;
  });
}

export function why(vm: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("why", options, async (session) => {
    const view = await ask(session, `/v1/why/${encodeURIComponent(vm)}`, whyViewShape, ANSWER_TIMEOUT_MS);
    show(options, view, (shown) => whyText(shown, Date.now()));
    return EXIT.done;
  });
}

function show<View>(options: ClientOptions, view: View, format: (view: View) => string): void {
  if (options.json === true) printJson(view);
  else print(format(view));
}
