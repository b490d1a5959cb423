import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readVmRecord } from "./vm-record.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-record-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("readVmRecord()", () => {
  it("fails for a record that is not there or is none", () => {
    expect(readVmRecord(folder)).toMatchObject({ ok: false });
    writeFileSync(join(folder, "vm.json"), "{");
    expect(readVmRecord(folder)).toMatchObject({ ok: false });
  });

  it("throws when we are out of file descriptors: the VM of a broken record would be stopped", () => {
    const blind = `
      import { closeSync, openSync } from "node:fs";
      import { readVmRecord } from ${JSON.stringify(join(import.meta.dirname, "vm-record.ts"))};
      const open = [];
      try { for (;;) open.push(openSync("/dev/null")); } catch {}
      let said = "nothing";
      try { readVmRecord(${JSON.stringify(folder)}); } catch (error) { said = error.code; }
      open.forEach((file) => closeSync(file));
      console.log(said);`;
    const shell = ["-c", 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, blind];
    expect(spawnSync("sh", shell, { encoding: "utf8" }).stdout).toBe("EMFILE\n");
  });
});
