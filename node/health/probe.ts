// Probe: asks a VM once, over TCP or HTTP, whether it is well.

import { request } from "node:http";
import { connect } from "node:net";
import type { Check } from "../../mesh/index.ts";
import type { ProbeOutcome } from "./check-machine.ts";

export interface ProbeAddress {
  readonly host: string;
  readonly port: number;
}

/** What is read of an answer's body, so that a polite app sees its answer taken. A verdict needs none of it. */
const BODY_BYTES_MAX = 64 * 1024;
const PASSED: ProbeOutcome = { passed: true };

/** Never rejects: an abort is a failure like another, for a caller that no longer looks. Leaves no socket behind. */
export async function probe(check: Check, address: ProbeAddress, signal: AbortSignal): Promise<ProbeOutcome> {
  const ended = new AbortController();
  const end = () => ended.abort();
  const timer = setTimeout(end, check.timeoutMs);
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    return await (check.type === "http"
      ? probeHttp(check.path, address, ended.signal)
      : probeTcp(address, ended.signal));
  } catch (error) {
    return { passed: false, reason: reasonOf(error, { timeoutMs: check.timeoutMs, ended: ended.signal }) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

function probeTcp(address: ProbeAddress, signal: AbortSignal): Promise<ProbeOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<ProbeOutcome>();
  const socket = connect({ ...address, signal });
  socket.once("connect", () => {
    resolve(PASSED);
    socket.destroy();
  });
  // `on`: what comes after the verdict is nobody's error.
  socket.on("error", reject);
  return promise;
}

/**
 * On a connection of its own: a pooled one would go on answering after the listener is gone. The status is the verdict,
 * also when the body does not end in time.
 */
function probeHttp(path: string, address: ProbeAddress, signal: AbortSignal): Promise<ProbeOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<ProbeOutcome>();
  const headers = { "user-agent": "grapevine-check", connection: "close" };
  const ask = request({ ...address, path, headers, agent: false, signal });
  let verdict: ProbeOutcome | null = null;
  ask.on("error", (error) => (verdict === null ? reject(error) : resolve(verdict)));
  ask.once("close", () => {
    if (verdict === null) reject(new Error("connection closed before an answer"));
    else resolve(verdict);
  });
  ask.once("response", (answer) => {
    const status = answer.statusCode ?? 0;
    const outcome: ProbeOutcome =
      status >= 200 && status < 400 ? PASSED : { passed: false, reason: `status ${status}` };
    verdict = outcome;
    let bytes = 0;
    answer.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) answer.destroy();
    });
    answer.on("error", () => resolve(outcome));
    answer.once("close", () => resolve(outcome));
  });
  ask.end();
  return promise;
}

function reasonOf(error: unknown, how: { readonly timeoutMs: number; readonly ended: AbortSignal }): string {
  if (how.ended.aborted) return `no answer within ${how.timeoutMs} ms`;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") return "connection refused: nothing listens on its PORT yet";
  if (code === "ECONNRESET") return "connection reset before an answer";
  return error instanceof Error && error.message !== "" ? error.message : code || "failed";
}
