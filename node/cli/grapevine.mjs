#!/usr/bin/env node
// grapevine: the command. Plain JavaScript for any Node from 18 on: where that is older than 24, which runs TypeScript as it
// is, the Node that was installed beside us runs us again.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import * as module from "node:module";
import { constants, homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 24;
const FORWARDED = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]);
const NPM_LOOK_MS = 250;
const here = fileURLToPath(import.meta.url);

endWithNpm();

if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) {
  endWithWrapper();
  keepCompiled();
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.exitCode = await runAgain();
}

/**
 * Compiled code is kept between runs, from the first file on: to strip the types of a single one costs a command 70 ms of CPU. In a folder
 * of the user's own: Node runs what it finds there. Where there can be none, main.ts takes Node's. NODE_COMPILE_CACHE goes first.
 */
function keepCompiled() {
  try {
    const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    const folder = join(cache, "grapevine");
    if (!isAbsolute(folder)) return;
    // Node itself makes folders too, and where none can be made, as in /proc, it tries for ever.
    for (const made of [cache, folder]) if (!existsSync(made)) mkdirSync(made, { mode: 0o700 });
    module.enableCompileCache(folder);
  } catch {
    // No home, or none that may be written.
  }
}

/** Resolves with the exit code of the newer Node. */
async function runAgain() {
  const node = installedNode();
  if (node === undefined) {
    const message = `grapevine needs Node ${NODE_MAJOR_MIN}; this is ${process.version}, and no newer one is installed beside it: run npm ci\n`;
    process.stderr.write(message);
    return 2;
  }
  const child = spawn(node, [here, ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`grapevine: ${node}: ${error.message}\n`);
      resolve(2);
    });
    child.once("exit", (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal]));
  });
}

/** A wrapper that was killed forwards nothing any more. The channel to it ends with it, and says so. */
function endWithWrapper() {
  if (process.channel === undefined) return;
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref();
}

/** npm starts us by a shell, and hands SIGTERM to that alone: `npx grapevine dev` would leave its cluster behind. */
function endWithNpm() {
  const npm = [process.ppid, parentOf(process.ppid)].find(isNpm);
  if (npm === undefined) return;
  const timer = setInterval(() => {
    if (isNpm(npm)) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, NPM_LOOK_MS);
  timer.unref();
}

/** npm gives its process a title: "npm exec grapevine dev". Where there is no /proc, nobody is. */
function isNpm(/** @type {number} */ pid) {
  return readProc(pid, "cmdline").startsWith("npm ");
}

function parentOf(/** @type {number} */ pid) {
  return Number(/^PPid:\s*(\d+)$/m.exec(readProc(pid, "status"))?.[1] ?? 0);
}

function readProc(/** @type {number} */ pid, /** @type {string} */ file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** npm puts it into the node_modules of this package, or of the one that depends on it. */
function installedNode() {
  const name = join("node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");
  for (let folder = dirname(here); ; folder = dirname(folder)) {
    const candidate = join(folder, name);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}
