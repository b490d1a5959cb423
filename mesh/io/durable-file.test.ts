import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeDurably } from "./durable-file.ts";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "grapevine-durable-"));
  file = join(folder, "file");
});

afterEach(() => rm(folder, { recursive: true }));

describe("writeDurably()", () => {
  test("replaces what is there and leaves nothing else behind", async () => {
    await writeDurably(file, "one", { mode: 0o600 });
    await writeDurably(file, new TextEncoder().encode("two"), { mode: 0o600 });
    expect(await readFile(file, "utf8")).toBe("two");
    expect(await readdir(folder)).toEqual(["file"]);
  });

  test("gives its permissions also to what a crash left half-written", async () => {
    await writeFile(`${file}.new`, "half");
    await chmod(`${file}.new`, 0o644);
    await writeDurably(file, "whole", { mode: 0o600 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, "utf8")).toBe("whole");
  });

  test("of a new file refuses one that is there, and leaves it as it is", async () => {
    await writeDurably(file, "one", { mode: 0o644, isNew: true });
    const again = writeDurably(file, "two", { mode: 0o600, isNew: true });
    await expect(again).rejects.toMatchObject({ code: "EEXIST" });
    expect(await readFile(file, "utf8")).toBe("one");
    expect((await stat(file)).mode & 0o777).toBe(0o644);
    expect(await readdir(folder)).toEqual(["file"]);
  });

  test("that fails leaves nothing half-written", async () => {
    await expect(writeDurably(join(folder, "none", "file"), "one", { mode: 0o600 })).rejects.toThrow(
      "ENOENT",
    );
    const notBytes = 1 as unknown as string;
    await expect(writeDurably(file, notBytes, { mode: 0o600 })).rejects.toThrow();
    expect(await readdir(folder)).toEqual([]);
  });
});
