// Observe: waits for what agents and proxies say of themselves. Event-driven where they stream, a bounded poll where they do not.

import { setTimeout as delay } from "node:timers/promises";
import type { AppView } from "../../node/deploy/app-view.ts";
import { get } from "./get.ts";

/** What a healthy cluster needs milliseconds for gets this long before a wait is called lost. */
export const PATIENCE_MS = 60_000;
/** Between two looks at what cannot be subscribed to. */
const LOOK_INTERVAL_MS = 25;

export async function getJson<Value>(url: string): Promise<Value> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Value;
}

/** One GET of `/` by that Host, on a connection of its own. Rejects when no whole answer came. */
export async function getThroughProxy(
  proxyUrl: string,
  host: string,
): Promise<{ readonly status: number; readonly body: string }> {
  const { status, text } = await get(proxyUrl, host);
  if (status === null) throw new Error(`GET ${host} through ${proxyUrl}: ${text}`);
  return { status, body: text };
}

/** The first view of the app, from `api`, that passes. Rejects with the last one seen when none does in time. */
export async function untilView(
  api: string,
  app: string,
  passes: (view: AppView) => boolean,
): Promise<AppView> {
  let last = "none";
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    const response = await fetch(`${api}/v1/apps/${app}/watch`, { signal });
    if (!response.ok || response.body === null) throw new Error(`watch: ${response.status}`);
    for await (const line of linesOf(response.body)) {
      last = line;
      const view = JSON.parse(line) as AppView;
      if (passes(view)) return view;
    }
    throw new Error("the watch ended");
  } catch (error) {
    throw new Error(`no such view of ${app}: ${String(error)}; the last was ${last}`);
  }
}

/** Resolves with the first value of `look` that is not null. A look that throws counts as null. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | null> | Value | null,
): Promise<Value> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  let lastError: unknown = null;
  while (performance.now() < deadlineMs) {
    try {
      const value = await look();
      if (value !== null) return value;
    } catch (error) {
      lastError = error;
    }
    await delay(LOOK_INTERVAL_MS);
  }
  throw new Error(`waited in vain for: ${what}${lastError === null ? "" : ` (${String(lastError)})`}`);
}

/** Of a watch, without the empty ones by which the agent says that it is there. */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") yield part;
  }
}
