import { expect, it } from "vitest";
import type { AppSpec } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";

const deploy: AppSpec["deploy"] = { strategy: "handoff", drainTimeoutMs: 1_000, waitTimeoutMs: 60_000 };

it.each([
  { leaseMs: 27_000, said: undefined },
  { leaseMs: 3_000, said: /a lease of 3.*s leaves a VM 2.*s to end by itself.*lease = "27s"/ },
])(
  "a lease of $leaseMs ms that ends VMs before their stop timeout of 20 s is warned of",
  ({ leaseMs, said }) => {
    const world = new World({ hosts: 3, proxies: 1, isGated: true });
    const stop = { ...specOf("hello", {}).stop, timeoutMs: 20_000 };
    const submitted = world.submit(specOf("hello", { deploy, stop, fence: { leaseMs } }), "1");
    const note = submitted.code === "begin" ? submitted.note : null;
    if (said === undefined) expect(note).toBeUndefined();
    else expect(note).toMatch(said);
  },
);
