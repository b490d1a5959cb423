// Health check: is the member of this container up? It asks where the member's own ready file says, so it never knows better
// than the member. Plain and without imports of ours: it runs every few seconds in every container.

import { readFile } from "node:fs/promises";
import { join } from "node:path";

const folder = process.argv[2] ?? "/var/lib/grapevine";
/** Less than the image's HEALTHCHECK waits: the reason is printed then. */
const ANSWER_TIMEOUT_MS = 8_000;

/** What each kind of member writes once it serves, where that says it is asked, and what of the answer is "yes". */
const MEMBERS = [
  { file: "agent.json", ask: (ready) => `${ready.api}/v1/health`, isUp: (answer) => answer.status === "ok" },
  {
    file: "proxy.json",
    ask: (ready) => `${ready.admin}/v1/status`,
    isUp: (answer) => answer.serving === true,
  },
];

process.exitCode = await check();

/** 0 or 1, as Docker wants it; what is printed is what `docker inspect` shows. */
async function check() {
  for (const { file, ask, isUp } of MEMBERS) {
    const ready = await readJson(join(folder, file));
    if (ready === null) continue;
    const url = ask(ready);
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      const text = await response.text();
      process.stdout.write(`${url}: ${response.status} ${text}`);
      return response.ok && isUp(JSON.parse(text)) ? 0 : 1;
    } catch (error) {
      process.stdout.write(`${url}: ${error}\n`);
      return 1;
    }
  }
  process.stdout.write(
    `no member is ready: neither ${MEMBERS.map((member) => member.file).join(" nor ")} in ${folder}\n`,
  );
  return 1;
}

/** null: not there, or half written. */
async function readJson(file) {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch {
    return null;
  }
}
