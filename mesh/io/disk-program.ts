// Disk program: the other side of a DiskThread, on its thread. One request, one answer, in order; parts come before it.

import { parentPort } from "node:worker_threads";
import { messageOf } from "../result.ts";
import type { ThreadAnswer } from "./disk-thread.ts";

/** `answer` is synchronous: a thread that has nothing else to do. What it throws is the request's failure. */
export function runDiskProgram<Request extends { readonly kind: string }, Part, End>(
  answer: (request: Request, givePart: (part: Part) => void) => End,
): void {
  const port = parentPort;
  if (port === null) throw new Error("bug: not a thread");
  const tell = (message: ThreadAnswer<Part, End>): void => port.postMessage(message);
  port.on("message", (request: Request) => {
    try {
      tell({ kind: "end", end: answer(request, (part) => tell({ kind: "part", part })) });
    } catch (error) {
      tell({ kind: "failed", reason: messageOf(error) });
    }
    if (request.kind === "close") port.close();
  });
}
