// Session: what every command that asks an agent has in common: finding it, signals, and failures as exit codes.

import { userInfo } from "node:os";
import { type ZodType, z } from "zod";
import { messageOf } from "../../mesh/words.ts";
import { PackError } from "../releases/pack-error.ts";
import { ApiClient, ApiError, NoAgentError } from "./api-client.ts";
import { devClusterFolder } from "./dev/running-clusters.ts";
import { EXIT, type ExitCode, exitCodeOfError } from "./exit-code.ts";
import { findAgents } from "./find-agent.ts";
import { plainLines } from "./table.ts";

export interface ClientOptions {
  readonly api?: string;
  readonly json?: boolean;
}

/** The person's mistake, or the file's; `message` says what to write instead. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Session {
  /** Found at first use, so that a mistake in a file is told before a missing agent is. Throws `NoAgentError`. */
  readonly client: ApiClient;
  /** Ctrl-C, `kill`. */
  readonly signal: AbortSignal;
}

export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** The agent's answer to a GET. `answerTimeoutMs`: for what it must ask others first. */
export async function ask<Value>(
  { client, signal }: Session,
  path: string,
  shape: ZodType<Value>,
  answerTimeoutMs?: number,
): Promise<Value> {
  const request = { method: "GET", path, ...(answerTimeoutMs !== undefined && { answerTimeoutMs }) } as const;
  const parsed = shape.safeParse(await client.json(request, signal));
  if (parsed.success) return parsed.data;
  throw new Error(
    `the agent answered what this release of the command cannot read: ${z.prettifyError(parsed.error)}`,
  );
}

/** Runs `body` against the agent that is found, and turns its failures into a message and an exit code. */
export async function withAgent(
  command: string,
  options: ClientOptions,
  body: (session: Session) => Promise<ExitCode>,
): Promise<ExitCode> {
  // Kept to the end of the process: one Ctrl-C may come twice, from the terminal and from the wrapper that forwards it,
  // and the second must not cut short what the first began.
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());
  let client: ApiClient | undefined;
  const session: Session = {
    get client() {
      client ??= new ApiClient(agentsOrThrow(options));
      return client;
    },
    signal: interrupt.signal,
  };
  try {
    return await body(session);
  } catch (error) {
    return explain(command, options, error, interrupt.signal.aborted);
  } finally {
    await client?.close();
  }
}

function agentsOrThrow(options: ClientOptions): ConstructorParameters<typeof ApiClient>[0] {
  const { uid } = userInfo();
  const found = findAgents({ api: options.api, env: process.env, devFolder: devClusterFolder(), uid });
  if (!found.ok) throw new NoAgentError(found.error);
  return found.value;
}

function explain(command: string, options: ClientOptions, error: unknown, isInterrupted: boolean): ExitCode {
  const known =
    knownFailure(error) ?? (isInterrupted ? { code: "interrupted", exitCode: EXIT.timedOut } : null);
  const message = isInterrupted ? "interrupted" : messageOf(error);
  // It repeats what was typed, or what an agent said.
  process.stderr.write(`grapevine ${command}: ${plainLines(message)}\n`);
  const exitCode = known?.exitCode ?? EXIT.failed;
  if (options.json === true) printJson({ error: { code: known?.code ?? "internal", message }, exitCode });
  return exitCode;
}

function knownFailure(error: unknown): { readonly code: string; readonly exitCode: ExitCode } | null {
  if (error instanceof ApiError) return { code: error.code, exitCode: exitCodeOfError(error.code) };
  if (error instanceof NoAgentError) return { code: "no-agent", exitCode: EXIT.usage };
  if (error instanceof UsageError || error instanceof PackError)
    return { code: "invalid", exitCode: EXIT.usage };
  return null;
}
