// Gather ports: whether a listener of ours could be opened now, by opening it for a moment; and if not, who has it.

import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { HostPort } from "../../../mesh/index.ts";
import { DOCTOR_CONNECT_MS } from "../../limits.ts";
import { commandOf, readOrNull } from "./gather-process.ts";
import type { Listened } from "./target.ts";

interface Holder {
  readonly pid: number;
  readonly command: string;
}

export interface PortFacts extends Listened {
  /** null: it could be opened. Else the system's word: "EADDRINUSE". */
  readonly code: string | null;
  /** Who listens there; null: nobody, or not ours to see. */
  readonly holder: Holder | null;
}

/** How a TCP connection came out. `code`: "ECONNREFUSED"; "timeout" after `DOCTOR_CONNECT_MS`. */
export type ConnectFacts =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly code: string };

export async function gatherPort({ key, address }: Listened): Promise<PortFacts> {
  const code = await tryListen(address);
  return { key, address, code, holder: code === "EADDRINUSE" ? holderOf(address.port) : null };
}

async function tryListen({ host, port }: HostPort): Promise<string | null> {
  const server = createServer();
  try {
    server.listen({ host, port });
    await once(server, "listening");
    return null;
  } catch (error) {
    return codeOf(error);
  } finally {
    server.close();
  }
}

export async function tryConnect(
  target: HostPort | { readonly path: string },
  signal: AbortSignal,
): Promise<ConnectFacts> {
  const startedAtMs = performance.now();
  const patience = AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_CONNECT_MS)]);
  const socket = connect({ ...target });
  // What comes after the answer is nobody's.
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect", { signal: patience });
    return { ok: true, ms: Math.round(performance.now() - startedAtMs) };
  } catch (error) {
    return { ok: false, code: patience.aborted ? "timeout" : codeOf(error) };
  } finally {
    socket.destroy();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** Of any address: two listeners with one port are in each other's way when one of them has all addresses. */
function holderOf(port: number): Holder | null {
  const sockets = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => listening(file, port)));
  if (sockets.size === 0) return null;
  const pids = list("/proc").filter((name) => /^\d+$/.test(name));
  const pid = pids.find((one) => socketsOf(one).some((socket) => sockets.has(socket)));
  if (pid === undefined) return null;
  return { pid: Number(pid), command: commandOf(Number(pid)) ?? readOrNull(`/proc/${pid}/comm`) ?? "?" };
}

/** Columns of proc_net_tcp: local address in hex, state (0A: listening), inode. */
function listening(file: string, port: number): readonly string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return (readOrNull(file) ?? "").split("\n").flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const isIt = columns[1]?.endsWith(`:${hex}`) === true && columns[3] === "0A";
    return isIt ? [`socket:[${columns[9]}]`] : [];
  });
}

function socketsOf(pid: string): readonly string[] {
  return list(`/proc/${pid}/fd`).flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${descriptor}`)];
    } catch {
      return [];
    }
  });
}

/** Empty when it is not ours to read, or gone. */
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
