import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostCordon } from "./host-cordon.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cordon-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("HostCordon", () => {
  it("is off at first, and what a person said is known to the next agent", async () => {
    const cordon = await HostCordon.open(folder);
    expect(cordon.isCordoned).toBe(false);
    await cordon.set(true);
    expect((await HostCordon.open(folder)).isCordoned).toBe(true);
    await cordon.set(false);
    expect((await HostCordon.open(folder)).isCordoned).toBe(false);
  });

  it("stays as it was when the disk takes nothing", async () => {
    const cordon = await HostCordon.open(join(folder, "gone"));
    await expect(cordon.set(true)).rejects.toThrow();
    expect(cordon.isCordoned).toBe(false);
  });
});
