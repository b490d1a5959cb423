import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Version } from "../../core/version.ts";
import type { Mesh } from "../../mesh.ts";
import { encodeRecord } from "../../records/record-codec.ts";
import { REGISTER_READ_SERVICE, type RegisterReadRequest } from "../../register/register.ts";
import { MemoryHub } from "../../sim/memory-mesh.ts";
import { STAND_IN_CLUSTER } from "../../sim/stand-in-voter.ts";
import { serveRegisterRead } from "./register-read.ts";
import { Registers } from "./registers.ts";

const KEY = "proxy/proxy-1";

let host: Mesh;
let proxy: Mesh;
let version: Version;
beforeEach(() => {
  const hub = new MemoryHub();
  host = hub.join({ name: "host-1", role: "host" });
  proxy = hub.join({ name: "proxy-1", role: "proxy" });
  const { apps } = new Registers(
    { cluster: STAND_IN_CLUSTER },
    { mesh: host, logger: pino({ level: "silent" }) },
  );
  serveRegisterRead({ mesh: host, apps, register: () => null });
  version = proxy.write(KEY, new Uint8Array([1]));
});
afterEach(async () => {
  await host.stop();
  await proxy.stop();
});

async function ask(request: Omit<RegisterReadRequest, "format">): Promise<string> {
  const bytes = encodeRecord({ format: 1, ...request });
  const signal = new AbortController().signal;
  try {
    for await (const chunk of proxy.call(host.self.owner, REGISTER_READ_SERVICE, bytes, signal))
      return `${chunk}`;
    return "yes";
  } catch (error) {
    return String(error);
  }
}

test("a host that does not vote says whether it holds an entry, and answers no records", async () => {
  const holds = { key: KEY, version };
  expect(await ask({ holds, records: false })).toContain(`host-1 does not hold ${KEY} at `);
  proxy.announce();
  await proxy.sync(host.self.owner, new AbortController().signal);
  expect(await ask({ holds, records: false })).toBe("yes");
  const later = { ...version, counter: version.counter + 1 };
  expect(await ask({ holds: { key: KEY, version: later }, records: false })).toContain("does not hold");
  expect(await ask({ holds, records: true })).toContain("host-1 is no voter");
});
