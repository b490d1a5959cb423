// A repository as git leaves it: made by git itself.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { programVersion, readCommit } from "./program-version.ts";

function git(folder: string, ...args: readonly string[]): string {
  const who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"];
  return execFileSync("git", [...who, ...args], { cwd: folder, encoding: "utf8" }).trim();
}

it.skipIf(spawnSync("git", ["--version"]).status !== 0)(
  "the commit is git's, on a branch, packed, detached and in a worktree; without a repository there is none",
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), "grapevine-version-"));
    try {
      expect(readCommit(folder)).toBeNull();
      const main = path.join(folder, "main");
      git(folder, "init", "-q", main);
      expect(readCommit(main)).toBeNull();
      git(main, "commit", "-q", "--allow-empty", "-m", "one");
      expect(readCommit(main)).toBe(git(main, "rev-parse", "HEAD"));
      git(main, "pack-refs", "--all");
      expect(readCommit(main)).toBe(git(main, "rev-parse", "HEAD"));
      const tree = path.join(folder, "tree");
      git(main, "worktree", "add", "-q", "-b", "side", tree);
      git(tree, "commit", "-q", "--allow-empty", "-m", "two");
      expect(readCommit(tree)).toBe(git(tree, "rev-parse", "HEAD"));
      expect(readCommit(tree)).not.toBe(readCommit(main));
      git(main, "checkout", "-q", "--detach");
      expect(readCommit(main)).toBe(git(main, "rev-parse", "HEAD"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

it("programVersion() is package.json's, and stays what it was when first asked", () => {
  expect(programVersion()).toMatchObject({ grapevine: expect.stringMatching(/^\d+\.\d+\.\d+$/), wire: 1 });
  expect(programVersion()).toBe(programVersion());
});
