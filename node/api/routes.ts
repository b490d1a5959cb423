// Routes: what each proxy really routes, asked of the proxies themselves. One that does not answer is named, not left out.

import { askMember, type MemberName, type MemberView, type Mesh } from "../../mesh/index.ts";
import { parseJson } from "./answer.ts";

const ROUTES_SERVICE = "routes";
const ROUTES_BYTES_MAX = 8 * 1024 * 1024;

/** `routes` is the proxy's own account of its table; null with the `reason` when it did not answer. */
export interface ProxyRoutes {
  readonly proxy: MemberName;
  readonly state: "answered" | "unreachable";
  readonly reason: string | null;
  readonly routes: unknown;
}

/** By proxy; a proxy's failure is its row. Rejects only when `signal` aborts. */
export async function askProxies(mesh: Mesh, signal: AbortSignal): Promise<readonly ProxyRoutes[]> {
  const proxies = mesh.members().filter((member) => member.role === "proxy");
  const rows = await Promise.all(proxies.map((proxy) => askProxy(mesh, proxy, signal)));
  return rows.sort((left, right) => (left.proxy < right.proxy ? -1 : 1));
}

async function askProxy(mesh: Mesh, proxy: MemberView, signal: AbortSignal): Promise<ProxyRoutes> {
  const silent = (reason: string) =>
    ({ proxy: proxy.name, state: "unreachable", reason, routes: null }) as const;
  const question = { service: ROUTES_SERVICE, request: new Uint8Array(), bytesMax: ROUTES_BYTES_MAX };
  const answer = await askMember(mesh, proxy, question, signal);
  if (!answer.ok) return silent(answer.error);
  const parsed = parseJson(Buffer.concat(answer.value));
  if (parsed === undefined) return silent("its answer cannot be read");
  return { proxy: proxy.name, state: "answered", reason: null, routes: parsed.json };
}
