import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeFolder } from "./make-folder.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "make-folder-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("makeFolder()", () => {
  it("makes all that is missing, with the mode, and does nothing the second time", () => {
    const folder = join(root, "a", "b", "c");
    makeFolder(folder, 0o700);
    makeFolder(folder, 0o700);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(root, "a")).mode & 0o777).toBe(0o700);
  });

  it("follows a link to a folder", () => {
    symlinkSync(root, join(root, "link"));
    makeFolder(join(root, "link", "a"));
    expect(statSync(join(root, "a")).isDirectory()).toBe(true);
  });

  it("throws where a file, or a link to nothing, is in the way", () => {
    writeFileSync(join(root, "file"), "");
    symlinkSync(join(root, "nowhere"), join(root, "dangling"));
    expect(() => makeFolder(join(root, "file"))).toThrow("EEXIST");
    expect(() => makeFolder(join(root, "file", "a"))).toThrow(/ENOTDIR|EEXIST/);
    expect(() => makeFolder(join(root, "dangling", "a"))).toThrow("EEXIST");
  });

  it.runIf(process.platform === "linux")(
    "throws where the file system makes no folder, and does not try for ever",
    () => {
      expect(() => makeFolder("/proc/grapevine/state")).toThrow("ENOENT");
    },
  );
});
