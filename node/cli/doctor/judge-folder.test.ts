// Facts in, findings out: what a person reads of the state folder, its disk, the key and the clock.

import { describe, expect, it } from "vitest";
import type { FolderFacts, KeyFacts } from "./gather-folder.ts";
import { judgeClock, judgeFolder, judgeKey, judgeRoom, judgeSync } from "./judge-folder.ts";

const MB = 1024 * 1024;
const FOLDER: FolderFacts = {
  stateDir: "/var/lib/grapevine",
  at: "/var/lib/grapevine",
  isThere: true,
  mode: 0o700,
  freeBytes: 5_000 * MB,
  freeFiles: 100_000,
  write: { ok: true, syncMs: 1.2 },
};
const KEY: KeyFacts = {
  file: "/var/lib/grapevine/mesh-key",
  code: null,
  mode: 0o600,
  isKey: true,
  incarnation: 1_700_000_000_000,
  nowMs: 1_800_000_000_000,
};

describe("judgeFolder()", () => {
  it("takes one that can be written, or that the start will make", () => {
    expect(judgeFolder(FOLDER, "agent").level).toBe("ok");
    const coming = { ...FOLDER, at: "/var/lib", isThere: false };
    expect(judgeFolder(coming, "agent")).toMatchObject({
      level: "ok",
      found: 'state_dir = "/var/lib/grapevine": the start will make it in /var/lib',
    });
  });

  it("fails where nothing can be written or the socket's path is too long, and warns of a folder for everybody", () => {
    const readOnly = { ...FOLDER, write: { ok: false, code: "EROFS" } } as const;
    expect(judgeFolder(readOnly, "agent")).toMatchObject({
      level: "fail",
      found: expect.stringContaining("(EROFS)"),
    });
    const long = `/${"a".repeat(100)}`;
    expect(judgeFolder({ ...FOLDER, stateDir: long, at: long }, "agent").means).toContain("107 bytes");
    expect(judgeFolder({ ...FOLDER, stateDir: long, at: long }, "proxy").level).toBe("ok");
    expect(judgeFolder({ ...FOLDER, mode: 0o777 }, "agent")).toMatchObject({
      level: "warn",
      next: "chmod 700 /var/lib/grapevine",
    });
    expect(judgeFolder({ ...FOLDER, mode: 0o1777 }, "agent").level).toBe("ok");
  });
});

it("judgeRoom() counts bytes and files; an agent keeps releases and needs more than a gate", () => {
  const left = (freeBytes: number | null, freeFiles: number | null = null) => ({
    ...FOLDER,
    freeBytes,
    freeFiles,
  });
  expect(judgeRoom(FOLDER, "agent")).toMatchObject({
    level: "ok",
    found: "5000 MB, 100000 files free at /var/lib/grapevine",
  });
  expect(judgeRoom(left(500 * MB), "agent")).toMatchObject({
    level: "warn",
    means: "enough are 1000 MB: 10 releases as large as they may be",
  });
  expect(judgeRoom(left(500 * MB), "gate").level).toBe("ok");
  expect(judgeRoom(left(MB), "gate").level).toBe("fail");
  expect(judgeRoom(left(5_000 * MB, 3), "agent").level).toBe("fail");
  expect(judgeRoom(left(null), "agent").level).toBe("warn");
});

it("judgeSync() warns of a slow disk, fails for one that hangs, and leaves what cannot be written to the folder", () => {
  const wrote = (write: FolderFacts["write"]) => judgeSync({ ...FOLDER, write }, "agent");
  expect(wrote({ ok: true, syncMs: 1.2 })).toMatchObject({
    level: "ok",
    found: "a synced write takes 1.2 ms at /var/lib/grapevine",
  });
  expect(wrote({ ok: true, syncMs: 400 })).toMatchObject({
    level: "warn",
    means: expect.stringContaining("each commit waits"),
  });
  expect(wrote({ ok: false, code: "timeout" })?.level).toBe("fail");
  expect(wrote({ ok: false, code: "EROFS" })).toBeNull();
});

describe("judgeKey()", () => {
  it("takes a key for its owner alone, and none before the first start", () => {
    expect(judgeKey(KEY, true).level).toBe("ok");
    const none = { ...KEY, code: "ENOENT", mode: null, isKey: false };
    expect(judgeKey(none, false)).toMatchObject({
      level: "ok",
      found: expect.stringContaining("the start will make one"),
    });
    expect(judgeKey(none, true)).toMatchObject({
      level: "fail",
      means: expect.stringContaining("another member"),
    });
  });

  it("fails for one that others can read, that cannot be read, or that is none", () => {
    expect(judgeKey({ ...KEY, mode: 0o644 }, true)).toMatchObject({
      level: "fail",
      next: `chmod 600 ${KEY.file}`,
    });
    expect(judgeKey({ ...KEY, code: "EACCES" }, false).found).toContain("cannot be read (EACCES)");
    expect(judgeKey({ ...KEY, isKey: false }, false).found).toContain("is no key");
  });
});

it("judgeClock() sees a clock that went back behind the last start, and no other fault", () => {
  expect(judgeClock(KEY)).toMatchObject({
    level: "ok",
    found: expect.stringMatching(/^2027-01-15T08:00:00Z/),
  });
  expect(judgeClock({ ...KEY, incarnation: null }).level).toBe("ok");
  expect(judgeClock({ ...KEY, incarnation: KEY.nowMs + 20 * 3_600_000 })).toMatchObject({
    level: "warn",
    found: expect.stringContaining("the last start here was 20 h later"),
  });
});
