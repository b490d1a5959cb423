// Specs and records for tests.

import { type AppSpec, bundleHash } from "../../../mesh/index.ts";

export function specOf(name: string, overrides: Partial<AppSpec> = {}): AppSpec {
  return {
    name,
    hostnames: [`${name}.localhost`],
    count: 1,
    command: ["node", "server.js"],
    env: {},
    checks: [],
    stop: { signal: "SIGTERM", timeoutMs: 10_000 },
    deploy: { strategy: "rolling", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 },
    bundle: { hash: bundleHash("a".repeat(64)), bytes: 100 },
    ...overrides,
  };
}
