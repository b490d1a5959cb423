// Listen error: why a listener could not be opened, and what to do, for people.

import type net from "node:net";
import type { HostPort } from "../../mesh/index.ts";

/** A listener could not be opened: the configuration names a port that is taken, or an address that is not ours. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** What it listens on, as its port may be one that the system chose. Rejects with `ListenError`. */
export async function orListenError(
  listening: Promise<net.AddressInfo>,
  { host, port }: HostPort,
): Promise<HostPort> {
  try {
    return { host, port: (await listening).port };
  } catch (error) {
    throw listenError(error, { host, port });
  }
}

export function listenError(error: unknown, { host, port }: HostPort): ListenError {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: "the port is taken: stop who has it, or give another one",
    EACCES: "this user may not listen there: take a port above 1023",
    EADDRNOTAVAIL: "this machine does not have that address",
    ENOTFOUND: "this host name is not known",
  };
  return new ListenError(`cannot listen on ${host}:${port}: ${why[code] ?? code}`);
}
