import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readLastLines } from "./output-tail.ts";

let folder = "";
let file = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "grapevine-tail-"));
  file = join(folder, "output.log");
});
afterEach(() => rm(folder, { recursive: true }));

describe("readLastLines()", () => {
  it("gives the last lines, also one without its newline", async () => {
    await writeFile(file, "one\ntwo\n\nthree");
    expect(await readLastLines(file, 10)).toEqual(["one", "two", "", "three"]);
    expect(await readLastLines(file, 2)).toEqual(["", "three"]);
    expect(await readLastLines(file, 0)).toEqual([]);
  });

  it("gives nothing of a file that is empty or not there", async () => {
    expect(await readLastLines(file, 10)).toEqual([]);
    await writeFile(file, "");
    expect(await readLastLines(file, 10)).toEqual([]);
  });

  it("reads a bounded end of a big file, and leaves out the line that it cut", async () => {
    await writeFile(file, Buffer.concat([Buffer.alloc(1_000_000, "x"), Buffer.from("\nlast ü\n")]));
    expect(await readLastLines(file, 10)).toEqual(["last ü"]);
  });
});
