// App folder: an app as a user would have it, with its next release one edit away.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Tells who answers, and answers /healthz with 200. /held?until=FILE is answered once that file is there. A POST to /once?log=FILE&id=ID
 * writes ID into that file when it begins, as what it does, and answers the bytes of its body once it is whole. An upgrade it grants, and says
 * nothing there. One to /?through=NAME it writes
 * down in the file of its `arrivals`: when it came, to which VM, NAME.
 */
const SERVER = `
const { appendFileSync, existsSync } = require("node:fs");
const { createServer } = require("node:http");
const { HOST, PORT, BEHAVIOUR, READY_FILE, ARRIVALS, GRAPEVINE_VM } = process.env;
if (BEHAVIOUR === "crash") {
  console.log("about to crash");
  console.error("fatal: no database");
  process.exit(7);
}
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://vm");
  if (url.pathname === "/healthz") {
    const isReady = READY_FILE === "" || existsSync(READY_FILE);
    response.statusCode = BEHAVIOUR === "unhealthy" || !isReady ? 500 : 200;
    return response.end();
  }
  if (url.pathname === "/once") {
    appendFileSync(url.searchParams.get("log"), url.searchParams.get("id") + "\\n");
    let bytes = 0;
    request.on("data", (chunk) => (bytes += chunk.length));
    return request.on("end", () => response.end(String(bytes))).on("error", () => response.destroy());
  }
  if (url.pathname === "/held") return answerOnce(url.searchParams.get("until"), response);
  const through = url.searchParams.get("through");
  if (through !== null) appendFileSync(ARRIVALS, [Date.now(), GRAPEVINE_VM, through].join(" ") + "\\n");
  const delayMs = Number(process.env.DELAY_MS);
  if (delayMs === 0) answer(response);
  else setTimeout(answer, delayMs, response);
});
// Evenly, as many as are meant: by chance it could be none of a hundred.
let failing = 0.5;
function answer(response) {
  failing += Number(process.env.ERROR_SHARE);
  if (failing >= 1) response.statusCode = 500;
  if (failing >= 1) failing -= 1;
  response.end(JSON.stringify({ vm: GRAPEVINE_VM, pid: process.pid, greeting: process.env.GREETING }));
}
function answerOnce(file, response) {
  if (existsSync(file)) response.end("held");
  else setTimeout(answerOnce, 20, file, response);
}
server.on("upgrade", (_request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n");
  socket.on("error", () => socket.destroy()).on("end", () => socket.end()).resume();
});
server.listen(Number(PORT), HOST, () => console.log("listening"));
process.on("SIGTERM", () => BEHAVIOUR === "stubborn" || server.close(() => process.exit(0)));
`;

export interface AppSettings {
  readonly name?: string;
  readonly count?: number;
  readonly greeting?: string;
  /** `stubborn`: it does not end at SIGTERM. */
  readonly behaviour?: "good" | "crash" | "unhealthy" | "stubborn";
  /** Of its ordinary requests so many fail, 0 to 1, evenly, and each takes so long. Default: none, no time. */
  readonly errorShare?: number;
  readonly delayMs?: number;
  /** Healthy only once this file is there. */
  readonly readyFile?: string;
  /** Where requests are written down that say through whom they came. */
  readonly arrivals?: string;
  /** For so long a check may fail; default: 1s, of one with a `readyFile` 1m. */
  readonly gracePeriod?: string;
  readonly waitTimeout?: string;
  readonly drainTimeout?: string;
  readonly command?: readonly string[];
  /** More lines of [deploy], as TOML. */
  readonly deploy?: readonly string[];
  readonly gate?: "on" | "off";
  /** It sleeps once nobody asked for it for so long. */
  readonly idleAfter?: string;
  /** More lines at the top, as TOML. */
  readonly top?: readonly string[];
  /** Lines of [hold], as TOML. */
  readonly hold?: readonly string[];
}

export class AppFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "grapevine-app-"));
  readonly file: string = join(this.path, "app.toml");

  constructor(settings: AppSettings = {}) {
    writeFileSync(join(this.path, "server.js"), SERVER);
    this.change(settings);
  }

  /** Writes the app file anew: another release. */
  change(settings: AppSettings): void {
    const { name = "web", count = 1, greeting = "hi", behaviour = "good", readyFile = "" } = settings;
    const lines = [
      `name = "${name}"`,
      `count = ${count}`,
      `gate = "${settings.gate ?? "on"}"`,
      ...(settings.idleAfter === undefined
        ? []
        : ["min_running = 0", `idle_after = "${settings.idleAfter}"`]),
      `command = ${JSON.stringify(settings.command ?? ["node", "server.js"])}`,
      ...(settings.top ?? []),
      "[env]",
      `GREETING = "${greeting}"`,
      `BEHAVIOUR = "${behaviour}"`,
      `READY_FILE = "${readyFile}"`,
      `ARRIVALS = "${settings.arrivals ?? ""}"`,
      `ERROR_SHARE = "${settings.errorShare ?? 0}"`,
      `DELAY_MS = "${settings.delayMs ?? 0}"`,
      "[[checks]]",
      'type = "http"',
      'path = "/healthz"',
      'interval = "200ms"',
      'timeout = "1s"',
      `grace_period = "${settings.gracePeriod ?? (readyFile === "" ? "1s" : "1m")}"`,
      "[deploy]",
      `drain_timeout = "${settings.drainTimeout ?? "10s"}"`,
      `wait_timeout = "${settings.waitTimeout ?? "1m"}"`,
      ...(settings.deploy ?? []),
      ...(settings.hold === undefined ? [] : ["[hold]", ...settings.hold]),
    ];
    writeFileSync(this.file, `${lines.join("\n")}\n`);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
