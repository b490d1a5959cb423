// Victim: `node victim.ts IMAGE`: a run that never removes what it made. It prints the run's id, its folder, and waits to be
// killed.

import { ContainerRun } from "./run.ts";

const [image = ""] = process.argv.slice(2);
const run = await ContainerRun.start({ image });
await run.start({ name: "idle", args: ["600"], more: ["--entrypoint", "sleep"] });
process.stdout.write(`${JSON.stringify({ id: run.id, folder: run.folder })}\n`);
process.stdin.resume();
