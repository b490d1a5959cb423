// status, members, vms, routes, logs: what is so now. Nothing here changes anything.

import { setTimeout as sleep } from "node:timers/promises";
import type { ZodType } from "zod";
import { appViewShape, appViewsShape, memberRowsShape, proxyTablesShape, vmViewsShape } from "../answers.ts";
import { ApiError } from "../api-client.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import {
  ask,
  type ClientOptions,
  print,
  printJson,
  type Session,
  UsageError,
  withAgent,
} from "../session.ts";
import { appsTable, appText, membersTable, routesText, vmsTable } from "../tables.ts";

/** How long `logs --follow` looks for an agent that knows the VM again. */
const LOG_LOST_AFTER_MS = 30_000;
const LOG_RETRY_MS = 500;

export interface LogsOptions extends ClientOptions {
  readonly follow?: boolean;
  readonly lines: string;
}

export interface StatusOptions extends ClientOptions {
  readonly hosts?: boolean;
  readonly watch?: boolean;
}

export async function status(app: string | undefined, options: StatusOptions): Promise<ExitCode> {
  if (options.hosts === true) return (await import("./introspect.ts")).statusOfHosts(app, options);
  if (options.watch === true) return (await import("./status-watch.ts")).watchStatus(app, options);
  return app === undefined
    ? show("status", "/v1/apps", appViewsShape, options, appsTable)
    : show("status", `/v1/apps/${encodeURIComponent(app)}`, appViewShape, options, appText);
}

export function members(options: ClientOptions): Promise<ExitCode> {
  return withAgent("members", options, async (session) => {
    const rows = await ask(session, "/v1/members", memberRowsShape);
    if (options.json !== true) print(membersTable(rows));
    else
      printJson(
        rows.map(({ name, role, api, pid, state, forSeconds, why }) => ({
          name,
          role,
          api,
          pid,
          state,
          forSeconds,
          why,
        })),
      );
    return EXIT.done;
  });
}

export function vms(options: ClientOptions): Promise<ExitCode> {
  return show("vms", "/v1/vms", vmViewsShape, options, vmsTable);
}

export function routes(options: ClientOptions): Promise<ExitCode> {
  return show("routes", "/v1/routes", proxyTablesShape, options, routesText);
}

/** Ctrl-C ends `--follow` with 0: there is no other end to wait for. */
export function logs(vm: string, options: LogsOptions): Promise<ExitCode> {
  return withAgent("logs", options, async (session) => {
    if (!/^\d{1,5}$/.test(options.lines))
      throw new UsageError(`--lines must be a whole number from 0 to 10000; found ${options.lines}`);
    await session.client.learnAgents(session.signal);
    const path = `/v1/vms/${encodeURIComponent(vm)}/logs`;
    const print = printerOf(options);
    if (options.follow === true) await followLog(session, path, options, print);
    else await readLog(session, `${path}?lines=${options.lines}`, print);
    return EXIT.done;
  });
}

type Printer = (chunk: Uint8Array) => void;

/** Of --json: one object for each piece of text as it came. */
function printerOf(options: ClientOptions): Printer {
  if (options.json !== true) return (chunk) => void process.stdout.write(chunk);
  const decoder = new TextDecoder();
  return (chunk) => printJson({ text: decoder.decode(chunk, { stream: true }) });
}

async function readLog({ client, signal }: Session, path: string, print: Printer): Promise<void> {
  for await (const chunk of client.bytes(path, { isSilenceFine: true }, signal)) print(chunk);
}

/** After a break only what is new is printed: a line twice would be worse than one that nobody saw. */
async function followLog(
  session: Session,
  path: string,
  options: LogsOptions,
  print: Printer,
): Promise<void> {
  let lines = options.lines;
  let lostAtMs: number | null = null;
  while (!session.signal.aborted) {
    try {
      await readLog(session, `${path}?follow=true&lines=${lines}`, (chunk) => {
        lostAtMs = null;
        print(chunk);
      });
      return;
    } catch (error) {
      if (session.signal.aborted) return;
      if (error instanceof ApiError && error.code !== "unavailable") throw error;
      lostAtMs ??= performance.now();
      if (performance.now() - lostAtMs > LOG_LOST_AFTER_MS) throw error;
    }
    lines = "0";
    await sleep(LOG_RETRY_MS);
  }
}

function show<Value>(
  command: string,
  path: string,
  shape: ZodType<Value>,
  options: ClientOptions,
  format: (value: Value) => string,
): Promise<ExitCode> {
  return withAgent(command, options, async (session) => {
    const value = await ask(session, path, shape);
    if (options.json === true) printJson(value);
    else print(format(value));
    return EXIT.done;
  });
}
