// App route: the route of an app without anything, for tests that say what theirs has.

import { appName } from "../../mesh/index.ts";
import { type AppRoute, NOT_HELD } from "../core/route-table.ts";

export function appRoute(over: Partial<AppRoute> = {}): AppRoute {
  return {
    app: appName("hello"),
    epoch: 1,
    hostnames: ["hello"],
    endpoints: [],
    clients: null,
    standby: [],
    weights: null,
    bake: null,
    hold: NOT_HELD,
    preview: null,
    unaddressed: [],
    missing: [],
    awaited: [],
    lost: [],
    ...over,
  };
}
