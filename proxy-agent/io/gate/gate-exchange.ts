// Gate exchange: one request at the gate, from its admission to its end: it is judged and counted in one breath, then sent to its
// VM as a proxy would. The gate tries once; what becomes of a failure the proxy decides, which knows the client.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Refusal } from "../../core/gate.ts";
import { GATE_HEADER, type GateAnswer, gateAnswerHeader } from "../../core/gate-headers.ts";
import type { Outcome } from "../attempt.ts";

/** Misdirected Request (RFC 9110 section 15.5.20): of nothing that has this status and our header a VM has seen a byte, unless it says so. */
const GATE_STATUS = 421;

/** What the gate itself says. An app cannot: its headers of that name are taken away. */
export function answerAsGate(
  response: ServerResponse,
  answer: GateAnswer,
  body: Uint8Array | string = "",
): void {
  if (response.headersSent) {
    // Half an answer must not be taken for a whole one.
    response.destroy();
    return;
  }
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const headers = [GATE_HEADER, gateAnswerHeader(answer), "Content-Length", String(bytes.length)];
  response.writeHead(GATE_STATUS, headers);
  response.end(bytes);
}

/** Null: the proxy has its answer, or left. */
export function answerOf(
  outcome: Outcome,
): { readonly answer: Exclude<GateAnswer, Refusal>; readonly reason: string } | null {
  switch (outcome.kind) {
    case "answered":
    case "gone":
    case "broken":
    case "stale":
    case "refused":
      return null;
    case "unsendable":
      return { answer: "failed", reason: outcome.reason };
    case "cut":
      return { answer: "cut", reason: "" };
    case "failed": {
      const { sent, timedOut, reason } = outcome;
      return { answer: sent ? (timedOut ? "late" : "lost") : "unreachable", reason };
    }
  }
}

/** Bodies of our own errands: bounded, read whole. Null: it is longer, and who sent it can still be told. */
export async function readWhole(request: IncomingMessage, bytesMax: number): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
