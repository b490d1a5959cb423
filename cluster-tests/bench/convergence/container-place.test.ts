import { chmodSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findInPath, isSameClock } from "./container-place.ts";

describe("isSameClock()", () => {
  it("believes a time between question and answer, and no other", () => {
    const look = { askedMs: 100, heardMs: 104 };
    expect(isSameClock({ ...look, saidMs: 102 })).toBe(true);
    expect(isSameClock({ ...look, saidMs: 99.9 })).toBe(false);
    // Of a machine that was started a week later or earlier.
    expect(isSameClock({ ...look, saidMs: 604_800_102 })).toBe(false);
    expect(isSameClock({ ...look, saidMs: -604_799_898 })).toBe(false);
  });
});

describe("findInPath()", () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "grapevine-path-")));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("finds the file behind a link, in the first folder that has it", () => {
    const file = join(folder, "serf-0.8");
    writeFileSync(file, "");
    chmodSync(file, 0o755);
    symlinkSync("serf-0.8", join(folder, "serf"));
    expect(findInPath("serf", `/nowhere:${folder}`)).toBe(file);
  });

  it("finds none where there is none that can be run", () => {
    writeFileSync(join(folder, "serf"), "");
    chmodSync(join(folder, "serf"), 0o644);
    expect(findInPath("serf", folder)).toBeNull();
    expect(findInPath("serf", "/nowhere")).toBeNull();
  });
});
