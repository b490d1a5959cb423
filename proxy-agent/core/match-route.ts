// Match route: from a request's Host header to its app's route.

import type { AppRoute, RouteTable } from "./route-table.ts";

/** `empty`: the app is known and routes to no VM now. `isComing`: it has VMs to route to, their addresses are on the way. */
export type Match =
  | { readonly kind: "route"; readonly route: AppRoute }
  | { readonly kind: "empty"; readonly route: AppRoute; readonly isComing: boolean }
  | { readonly kind: "unknown"; readonly route: null; readonly hostname: string };

export function matchRoute(table: RouteTable, hostname: string): Match {
  const route = table.byHostname.get(hostname) ?? null;
  if (route === null) return { kind: "unknown", route, hostname };
  if (route.endpoints.length > 0) return { kind: "route", route };
  return { kind: "empty", route, isComing: route.unaddressed.length > 0 };
}

/** "Hello.Localhost.:8080" → "hello.localhost": no port, no trailing dot, lower case (RFC 9110 section 4.2.3). */
export function hostnameOf(hostHeader: string): string {
  const withoutPort = hostHeader.replace(/:\d*$/, "");
  return withoutPort.replace(/\.$/, "").toLowerCase();
}
