import { beforeEach, expect, it } from "vitest";
import { vmName } from "../../mesh/index.ts";
import { AHEAD_MS_MAX, StartAhead } from "./start-ahead.ts";
import type { VmSpec } from "./vm-driver.ts";

const SPEC: VmSpec = { vm: vmName("hello-v1-1"), command: ["run"], env: { A: "b" }, folder: "/vms/hello" };

let looks = 0;
let nowMs = 0;
let fault: Error | null = null;
let ahead: StartAhead;
beforeEach(() => {
  looks = 0;
  nowMs = 0;
  fault = null;
  const look = async () => {
    looks += 1;
    if (fault !== null) throw fault;
    return SPEC;
  };
  ahead = new StartAhead(look, () => nowMs);
});

it("a start takes what was looked at before, and who it is", async () => {
  await ahead.look();
  await ahead.look();
  const { env } = await ahead.take({ PORT: "21000" });
  expect(env).toEqual({ A: "b", PORT: "21000" });
  expect(looks).toBe(1);
});

it("the next start looks anew, and so does one that waited for long", async () => {
  await ahead.look();
  await ahead.take({});
  await ahead.take({});
  expect(looks).toBe(2);
  await ahead.look();
  nowMs += AHEAD_MS_MAX;
  expect(await ahead.take({})).toEqual(SPEC);
  expect(looks).toBe(4);
});

it("what failed is looked at again", async () => {
  fault = new Error("its volume data cannot be used");
  await expect(ahead.look()).rejects.toThrow(fault);
  fault = null;
  expect(await ahead.take({})).toEqual(SPEC);
});
