// Timed app: an app of one VM that serves as it always does, and at its end writes down how long that took by its own clock.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readAppFile } from "../../../node/config/app-file.ts";
import { packFolder } from "../../../node/releases/pack.ts";
import { AppFolder } from "../../harness/app-folder.ts";

/** From the signal to the end of the process, in nanoseconds. Its way from there to its parent is not the VM's own time. */
const SERVER = `
const { writeFileSync } = require("node:fs");
const { createServer } = require("node:http");
const server = createServer((_, response) => response.end("ok"));
server.listen(Number(process.env.PORT), process.env.HOST);
process.on("SIGTERM", () => {
  const beganNs = process.hrtime.bigint();
  process.on("exit", () => {
    const tookNs = process.hrtime.bigint() - beganNs;
    writeFileSync(process.env.STOPS + "/" + process.env.GRAPEVINE_VM, String(tookNs));
  });
  server.close(() => process.exit(0));
});
`;

export interface PackedApp {
  /** As `POST /v1/apps/NAME/deploys` takes it. */
  readonly spec: object;
  readonly hash: string;
  readonly bundle: Uint8Array;
}

export class TimedApp {
  readonly #folder: AppFolder;
  readonly #bundleFile: string;
  readonly #stops: string;
  readonly name: string;

  /** `scratch`: a folder that is there, and is its user's to remove. */
  constructor(name: string, scratch: string) {
    this.name = name;
    this.#stops = scratch;
    this.#bundleFile = join(scratch, "bundle.tar");
    this.#folder = new AppFolder({ name, command: ["node", "timed.js"] });
    writeFileSync(join(this.#folder.path, "timed.js"), SERVER);
  }

  /** Another release than any before: the hosts have none of its files yet. */
  async release(number: number): Promise<PackedApp> {
    writeFileSync(join(this.#folder.path, "release.txt"), `${number}\n`);
    const read = readAppFile(this.#folder.file);
    if (!read.ok) throw new Error(JSON.stringify(read.error));
    const { hash, bytes } = await packFolder(this.#folder.path, this.#bundleFile);
    const env = { ...read.value.env, STOPS: this.#stops };
    const spec = { ...read.value, env, bundle: { hash, bytes } };
    return { spec, hash, bundle: readFileSync(this.#bundleFile) };
  }

  /** How long this VM took to end, once it has. */
  stopTookMs(vm: string): number {
    const file = join(this.#stops, vm);
    if (!existsSync(file)) throw new Error(`${vm} did not end by itself: it left no word`);
    return Number(readFileSync(file, "utf8")) / 1e6;
  }

  remove(): void {
    this.#folder.remove();
  }
}
