import { expect, it } from "vitest";
import type { AppSpec } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";

const deploy: AppSpec["deploy"] = { strategy: "handoff", drainTimeoutMs: 1_000, waitTimeoutMs: 60_000 };

it.each([
  { leaseMs: 27_000, stopMs: 20_000, said: null },
  {
    leaseMs: 3_000,
    stopMs: 20_000,
    said: /a lease of 3.*s leaves a VM 2.*s to end by itself.* Write lease = "27s", or a shorter stop.timeout/,
  },
  { leaseMs: 3_000, stopMs: 3_600_000, said: /then it is killed\. Write a shorter stop.timeout/ },
])(
  "a lease of $leaseMs ms before a stop timeout of $stopMs ms: a first deploy and its plan warn of it: $said",
  ({ leaseMs, stopMs, said }) => {
    const world = new World({ hosts: 3, proxies: 1, isGated: true });
    const stop = { ...specOf("hello", {}).stop, timeoutMs: stopMs };
    const hold = { maxAgeMs: 3_600_000, maxRequests: 1, maxBytes: 1 };
    const spec = specOf("hello", { deploy, stop, hold, fence: { leaseMs } });
    const planned = world.plan(spec, "1").costs.filter(({ what }) => what.includes("lease"));
    const submitted = world.submit(spec, "1");
    const note = submitted.code === "begin" ? submitted.note : null;
    const told = [...planned.map(({ what }) => what), ...(note == null ? [] : [note])];
    expect(told).toEqual(said === null ? [] : [expect.stringMatching(said), expect.stringMatching(said)]);
  },
);
