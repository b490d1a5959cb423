// Routes: what each proxy really routes, asked of the proxies themselves. One that does not answer is named, not left out.

import { type MemberName, type MemberView, type Mesh, MeshCallError } from "../../mesh/index.ts";
import { parseJson, readBounded } from "./answer.ts";

const ROUTES_SERVICE = "routes";
/** Past it a proxy is shown as silent: people wait for the whole table. */
const ROUTES_TIMEOUT_MS = 2_000;
const ROUTES_BYTES_MAX = 8 * 1024 * 1024;

/** `routes` is the proxy's own account of its table; null with the `reason` when it did not answer. */
export interface ProxyRoutes {
  readonly proxy: MemberName;
  readonly state: "answered" | "unreachable";
  readonly reason: string | null;
  readonly routes: unknown;
}

/** By proxy. Never rejects: a proxy's failure is its row. */
export async function askProxies(mesh: Mesh, signal: AbortSignal): Promise<readonly ProxyRoutes[]> {
  const proxies = mesh.members().filter((member) => member.role === "proxy");
  const rows = await Promise.all(proxies.map((proxy) => askProxy(mesh, proxy, signal)));
  return rows.sort((left, right) => (left.proxy < right.proxy ? -1 : 1));
}

async function askProxy(mesh: Mesh, proxy: MemberView, signal: AbortSignal): Promise<ProxyRoutes> {
  const silent = (reason: string) =>
    ({ proxy: proxy.name, state: "unreachable", reason, routes: null }) as const;
  if (!proxy.connected) return silent("not connected");
  const timeout = AbortSignal.timeout(ROUTES_TIMEOUT_MS);
  try {
    const call = mesh.call(proxy.owner, ROUTES_SERVICE, new Uint8Array(), AbortSignal.any([signal, timeout]));
    const bytes = await readBounded(call, ROUTES_BYTES_MAX);
    const parsed = bytes === null ? undefined : parseJson(bytes);
    if (parsed === undefined) return silent("its answer cannot be read");
    return { proxy: proxy.name, state: "answered", reason: null, routes: parsed.json };
  } catch (error) {
    if (timeout.aborted) return silent(`no answer within ${ROUTES_TIMEOUT_MS} ms`);
    if (error instanceof MeshCallError) return silent(error.message);
    throw error;
  }
}
