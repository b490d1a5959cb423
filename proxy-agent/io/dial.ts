// Dial: opens a TCP connection and closes it at once, to see whether somebody is there.

import { connect, type Socket } from "node:net";
import { CONNECT_TIMEOUT_MS } from "../limits.ts";

/** `onEnd` is told once: null, it could be reached; else why not. Destroying the socket ends it early. */
export function dial(
  address: { readonly host: string; readonly port: number },
  onEnd: (reason: string | null) => void,
): Socket {
  const socket = connect({ ...address, timeout: CONNECT_TIMEOUT_MS });
  let reason: string | null = "closed";
  socket.once("connect", () => {
    reason = null;
    socket.destroy();
  });
  socket.once("timeout", () => socket.destroy(new Error("timed out")));
  socket.on("error", (error) => {
    reason = error instanceof AggregateError ? String(error.errors[0]) : error.message;
  });
  socket.once("close", () => onEnd(reason));
  return socket;
}
