// Reaper: `node reaper.ts RUN FOLDER`: waits until whoever started it is gone, however that ended (Ctrl-C, a crash, kill -9),
// and removes what is left of its run. In a session of its own, so that Ctrl-C does not reach it.

import { rmSync } from "node:fs";
import { removeUntilNone } from "./leftovers.ts";

const [runId = "", folder = ""] = process.argv.slice(2);
// The other end of it is the run's process. Nothing is ever written.
process.stdin.resume();
await new Promise((resolve) => process.stdin.once("close", resolve));
await removeUntilNone(runId);
rmSync(folder, { recursive: true, force: true });
