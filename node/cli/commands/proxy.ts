// proxy exclude, proxy include: whether rollouts ask a proxy.

import type { ProxyExclusionView } from "../../api/proxies.ts";
import { proxyExclusionShape } from "../answers.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type ClientOptions, print, printJson, withAgent } from "../session.ts";
import { plainText } from "../table.ts";

export interface ExcludeOptions extends ClientOptions {
  readonly app?: string;
}

/** Each app's record is changed by itself, and each may have to wait for a voter. */
const ANSWER_TIMEOUT_MS = 60_000;

export function changeExclusion(
  verb: "exclude" | "include",
  proxy: string,
  options: ExcludeOptions,
): Promise<ExitCode> {
  return withAgent(`proxy ${verb}`, options, async ({ client, signal }) => {
    const app = options.app === undefined ? "" : `?app=${encodeURIComponent(options.app)}`;
    const path = `/v1/proxies/${encodeURIComponent(proxy)}/${verb}${app}`;
    const request = { method: "POST", path, answerTimeoutMs: ANSWER_TIMEOUT_MS } as const;
    const view = proxyExclusionShape.parse(await client.json(request, signal));
    if (options.json === true) printJson(view);
    else print(plainText(describeExclusion(view)));
    return EXIT.done;
  });
}

function describeExclusion({ proxy, excluded, apps }: ProxyExclusionView): string {
  const list = apps.join(", ");
  return excluded
    ? `rollouts of ${list} do not ask ${proxy} any more; \`grapevine proxy include ${proxy}\` takes that back`
    : `rollouts of ${list} ask ${proxy} again`;
}
