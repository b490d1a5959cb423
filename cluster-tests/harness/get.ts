// Get: one request of a client through a proxy, on a connection of its own. It resolves whatever becomes of it.

import { request } from "node:http";

export interface Answer {
  /** null: no whole answer came; `text` says why, or holds what came. */
  readonly status: number | null;
  /** From the `grapevine-vm` header. */
  readonly vm: string | null;
  /** Seconds, of the header; absent: it has none. */
  readonly retryAfter?: string;
  readonly text: string;
}

/** `url`: of the proxy, path included. `host`: the app's hostname. */
export function get(url: string, host: string): Promise<Answer> {
  return new Promise((resolve) => {
    const outgoing = request(url, { headers: { host }, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      const { "retry-after": retryAfter, "grapevine-vm": vm } = response.headers;
      const answer = (): void =>
        resolve({
          status: response.complete ? (response.statusCode ?? null) : null,
          vm: vm?.toString() ?? null,
          ...(retryAfter === undefined ? {} : { retryAfter }),
          text,
        });
      response.once("end", answer).once("error", answer);
    });
    outgoing.once("error", (error) => resolve({ status: null, vm: null, text: error.message }));
    outgoing.end();
  });
}
