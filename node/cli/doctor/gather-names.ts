// Gather names: what host names mean here, as a member that starts would find out. getaddrinfo cannot be interrupted, and would keep
// our own process until the resolver gives up: it runs in one that can be killed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { isIP } from "node:net";
import type { HostPort } from "../../../mesh/index.ts";
import { DOCTOR_NAMES_MS } from "../../limits.ts";

/** An address, or the system's word why there is none: "ENOTFOUND"; "timeout" after `DOCTOR_NAMES_MS`. */
export type NameFacts =
  | { readonly ok: true; readonly address: string }
  | { readonly ok: false; readonly code: string };

/** A line for each name, as it is known: the name, then its address or a code. */
const LOOK_UP = `
const { lookup } = require("node:dns");
for (const name of process.argv.slice(1))
  lookup(name, (error, address) => console.log(JSON.stringify([name, error ? null : address, error?.code ?? null])));
`;

/** Of each host that is no address already. */
export async function gatherNames(
  hosts: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, NameFacts>> {
  const names = [...new Set(hosts.filter((host) => isIP(host) === 0))];
  const late = { ok: false, code: "timeout" } as const;
  const found = new Map<string, NameFacts>(names.map((name) => [name, late]));
  if (names.length === 0) return found;
  const child = spawn(process.execPath, ["-e", LOOK_UP, "--", ...names], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const patience = AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_NAMES_MS)]);
  await once(child, "close", { signal: patience }).catch(() => child.kill("SIGKILL"));
  for (const line of text.split("\n").slice(0, -1)) {
    const [name, address, code] = JSON.parse(line) as [string, string | null, string | null];
    found.set(name, address === null ? { ok: false, code: code ?? "unknown" } : { ok: true, address });
  }
  return found;
}

/** Where `names` found it. */
export function resolved(
  { host, port }: HostPort,
  names: ReadonlyMap<string, NameFacts>,
): { readonly ok: true; readonly address: HostPort } | { readonly ok: false; readonly code: string } {
  const name = names.get(host);
  if (name === undefined) return { ok: true, address: { host, port } };
  return name.ok ? { ok: true, address: { host: name.address, port } } : name;
}
