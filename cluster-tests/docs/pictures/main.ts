// `npm run docs:pictures`: makes docs/pictures/ anew, each from a deploy on a cluster of real processes; `-- --draw` only draws them, from the
// runs that are there; `-- rolling canary` makes those.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { picture } from "./picture.ts";
import { recordRun } from "./record-run.ts";
import { picturePath, readRun, runPath, STRATEGY_NAMES } from "./recorded-run.ts";

const words = process.argv.slice(2);
const named = STRATEGY_NAMES.filter((strategy) => words.includes(strategy));

for (const strategy of named.length > 0 ? named : STRATEGY_NAMES) {
  if (!words.includes("--draw")) {
    const run = await recordRun(strategy);
    writeFileSync(runPath(strategy), JSON.stringify(run));
    execFileSync("npx", ["biome", "format", "--write", runPath(strategy)], { stdio: "ignore" });
  }
  const { svg } = picture(readRun(strategy));
  writeFileSync(picturePath(strategy), svg);
  process.stdout.write(`docs/pictures/${strategy}.svg: ${svg.length} bytes\n`);
}
