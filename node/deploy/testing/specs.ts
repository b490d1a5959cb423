// Specs and records for tests.

import { type AppSpec, bundleHash } from "../../../mesh/index.ts";

/** `env.FATE` is of tests alone: what becomes of its VMs in the hands of a fake host, which has no real env to look at. */
export interface SpecOverrides extends Partial<Omit<AppSpec, "env">> {
  readonly env?: { readonly FATE?: string };
}

export function specOf(name: string, { env = {}, ...overrides }: SpecOverrides = {}): AppSpec {
  return {
    name,
    hostnames: [`${name}.localhost`],
    count: 1,
    command: ["node", "server.js", ...(env.FATE === undefined ? [] : [env.FATE])],
    checks: [],
    stop: { signal: "SIGTERM", timeoutMs: 10_000 },
    deploy: { strategy: "rolling", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 },
    bundle: { hash: bundleHash("a".repeat(64)), bytes: 100 },
    ...overrides,
  };
}
