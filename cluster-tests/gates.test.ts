// The gates of `npm run check` close: each rule gets a bad sample that must fail, in a scratch copy of the house.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "grapevine-gates-"));
  for (const file of ["biome.json", ".biome", "knip.json", "tsconfig.json", "package.json"]) {
    cpSync(join(ROOT, file), join(scratch, file), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(scratch, "node_modules"));
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function write(path: string, source: string): void {
  mkdirSync(dirname(join(scratch, path)), { recursive: true });
  writeFileSync(join(scratch, path), source);
}

function run(tool: string, ...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const bin = join(ROOT, "node_modules", ".bin", tool);
    execFile(bin, args, { cwd: scratch }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

async function lint(path: string, source: string): Promise<{ code: number; output: string }> {
  write(path, source);
  try {
    return await run("biome", "lint", "--error-on-warnings", path);
  } finally {
    rmSync(join(scratch, path));
  }
}

const CORES = ["mesh/core", "mesh/register", "mesh/records", "node/deploy/core", "proxy-agent/core"];

const IMPURE: readonly (readonly [what: string, source: string, says: RegExp])[] = [
  ["a clock", "export const now: number = Date.now();\n", /noRestrictedGlobals/],
  ["a clock by another way", "export const now: number = globalThis.Date.now();\n", /noRestrictedGlobals/],
  ["a timer", "setTimeout(() => {}, 1);\n", /noRestrictedGlobals/],
  ["ambient randomness", "export const dice: number = Math.random();\n", /core takes randomness/],
  ["a socket", 'import { connect } from "node:net";\nconnect(1);\n', /core is pure/],
  [
    "libp2p",
    'import { createLibp2p } from "libp2p";\nexport const make: unknown = createLibp2p;\n',
    /core is pure/,
  ],
  ["its own shell", 'import { x } from "../io/x.ts";\nexport const y: unknown = x;\n', /core is pure/],
];

describe.each(CORES)("lint of %s", (folder) => {
  test("passes a pure file", async () => {
    const result = await lint(`${folder}/sample.ts`, "export const one: number = 1;\n");
    expect(result.output).not.toMatch(/lint\//);
    expect(result.code).toBe(0);
  });

  test.each(IMPURE)("fails on %s", async (_what, source, says) => {
    const result = await lint(`${folder}/sample.ts`, source);
    expect(result.output).toMatch(says);
    expect(result.code).not.toBe(0);
  });
});

const BACK_DOORS: readonly (readonly [file: string, target: string])[] = [
  ["node/sample.ts", "../mesh/core/version.ts"],
  ["node/vms/sample.ts", "../../mesh/limits.ts"],
  ["node/deploy/sample.ts", "../../proxy-agent/core/route-table.ts"],
  ["node/deploy/core/sample.ts", "../../../mesh/io/mesh.ts"],
  ["node/api/sample.ts", "../../mesh/io/mesh.ts"],
  ["node/cli/sample.ts", "../../proxy-agent/main.ts"],
  ["proxy-agent/sample.ts", "../mesh/io/mesh.ts"],
  ["proxy-agent/io/sample.ts", "../../node/main.ts"],
  ["proxy-agent/core/sample.ts", "../../mesh/core/version.ts"],
  ["mesh/sample.ts", "../node/main.ts"],
  ["mesh/io/sample.ts", "../../proxy-agent/main.ts"],
  ["mesh/sim/sample.ts", "../../node/main.ts"],
  // Folders that nobody named yet.
  ["node/later/sample.ts", "../../mesh/io/mesh.ts"],
  ["proxy-agent/later/sample.ts", "../../node/main.ts"],
  ["mesh/later/sample.ts", "../../node/main.ts"],
];

test.each(BACK_DOORS)("lint fails when %s imports %s past a front door", async (file, target) => {
  const result = await lint(file, `import { x } from "${target}";\nexport const y: unknown = x;\n`);
  expect(result.output).toMatch(/front door|meet only in mesh/);
  expect(result.code).not.toBe(0);
});

test.each(["mesh/io", "node/vms", "proxy-agent/io", "cluster-tests/harness"])(
  "lint fails on a floating promise in %s",
  async (folder) => {
    const source = "async function save(): Promise<void> {}\nexport function go(): void {\n  save();\n}\n";
    const result = await lint(`${folder}/sample.ts`, source);
    expect(result.output).toMatch(/noFloatingPromises/);
    expect(result.code).not.toBe(0);
  },
);

test("the dead-code check fails on an export that nothing imports, and names it", async () => {
  write("node/cli/main.ts", 'import { used } from "../used.ts";\nprocess.exitCode = used;\n');
  write("node/used.ts", "export const used: number = 1;\nexport const deadSample: number = 2;\n");
  const result = await run("knip", "--no-config-hints", "--include", "exports");
  expect(result.output).toMatch(/deadSample/);
  expect(result.output).not.toMatch(/\bused\b.*node\/used\.ts/);
  expect(result.code).not.toBe(0);
});
