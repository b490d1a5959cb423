import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AppRecord, appName, encodeRecord, memberName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { FAKE_ENV, fakeSealedSpec, fakeVmEntry } from "../api/testing/fake-agent.ts";
import { redacted, redactedValue } from "./redact.ts";
import { shortValue } from "./short-value.ts";

const SECRET = "hunter2";

function committed(): Uint8Array {
  const spec = fakeSealedSpec(new Uint8Array(1), {
    command: ["node", "server.js", `--token=${SECRET}`],
  });
  const record: AppRecord = {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [{ number: 1, specHash: `hash of ${SECRET}`, spec, vmsNamed: 1, submittedAtMs: 1 }],
    current: 1,
    lastRelease: 1,
    vms: [],
    rollout: null,
  };
  const voter = new MemoryHub().join({ name: "host-1", role: "host" });
  return new StandInVoter(voter).certified(3, record);
}

describe("redactedValue()", () => {
  it("tells of a release what it is, no argument, no hash over them", () => {
    const shown = redactedValue("app/hello", committed());
    expect(JSON.stringify(shown)).not.toContain(SECRET);
    expect(shown).toMatchObject({
      epoch: 3,
      record: {
        releases: [
          {
            specHash: "[removed]",
            spec: { env: FAKE_ENV, command: ["node", "[2 arguments removed]"], count: 1 },
          },
        ],
      },
    });
  });

  it("tells of a VM how many lines it printed, and none of them", () => {
    const entry = { ...fakeVmEntry("hello-v1-1", memberName("host-1")), lastLines: [SECRET, SECRET] };
    const shown = redactedValue("vm/hello-v1-1", encodeRecord(entry));
    expect(shown).toMatchObject({ state: "running", lastLines: ["[2 lines of output removed]"] });
    expect(JSON.stringify(shown)).not.toContain(SECRET);
  });

  it("tells nothing of kinds that are not ours, nor of what cannot be read", () => {
    expect(redactedValue("custom/a", encodeRecord({ password: SECRET }))).toBeUndefined();
    expect(redactedValue("app/hello", new Uint8Array([0xc1]))).toBeUndefined();
    expect(redactedValue("vm/x", new Uint8Array([0xc1]))).toBeUndefined();
  });
});

describe("redacted()", () => {
  it("removes at any depth, whatever shape the value has, and keeps all else", () => {
    const secret = fc.constantFrom<unknown>(SECRET, [SECRET], { A: SECRET }, { A: { B: SECRET } });
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { depthSize: "small" },
        fc.record({ lastLines: secret, command: secret.map((value) => ["node", value]) }),
        fc.record({ inner: tie("json"), other: fc.integer() }),
        fc.array(tie("json"), { maxLength: 3 }),
      ),
    }));
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.stringify(redacted(value))).not.toContain(SECRET);
      }),
    );
    expect(redacted({ a: [1, null, { b: "x" }], c: 7n })).toEqual({ a: [1, null, { b: "x" }], c: "7" });
  });

  it("survives what is nested deeper than anything of ours", () => {
    let deep: unknown = SECRET;
    for (let at = 0; at < 20_000; at += 1) deep = [deep];
    expect(JSON.stringify(redacted(deep))).not.toContain(SECRET);
  });
});

describe("shortValue()", () => {
  it.each([
    [
      "vm/hello-v1-1",
      encodeRecord(fakeVmEntry("hello-v1-1", memberName("host-1"))),
      "running, healthy, 127.0.0.1:20000",
    ],
    ["app/hello", committed(), "epoch 3, v1, 0 VMs"],
    ["custom/a", new Uint8Array(17), "17 bytes"],
    ["vm/x", new Uint8Array([0xc1]), "cannot be read: not msgpack"],
  ])("of %s is one line without secrets", (key, value, expected) => {
    expect(shortValue(key, value)).toBe(expected);
  });
});
