// Process place: members as processes of this machine, on loopback, each with a folder of its own.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MemberProcess, PROGRAM_FILES, profileArguments } from "./member-process.ts";
import type { FindPlaceKind, MemberSpec, Place, PlacedMember, PlaceOptions } from "./place.ts";
import type { MemberSetting } from "./protocol.ts";

export const findProcesses: FindPlaceKind = async ({ withSerf }) => ({
  node: process.version,
  whyNoSerf: withSerf && !isSerfInstalled() ? "it is not installed" : null,
  open: async (options) => new ProcessPlace(options),
});

function isSerfInstalled(): boolean {
  return spawnSync("serf", ["version"], { stdio: "ignore" }).status === 0;
}

class ProcessPlace implements Place {
  readonly #options: PlaceOptions;
  readonly #folder: string = mkdtempSync(join(tmpdir(), "grapevine-bench-"));
  readonly #members = new Set<MemberProcess>();

  constructor(options: PlaceOptions) {
    this.#options = options;
  }

  async start({ name, program, config }: MemberSpec): Promise<PlacedMember> {
    const { originNs, profileFolder, signal } = this.#options;
    signal.throwIfAborted();
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const setting: MemberSetting = {
      ...{ name, program, folder, config },
      address: "127.0.0.1",
      originNs: String(originNs),
    };
    const main = fileURLToPath(new URL(PROGRAM_FILES[program], import.meta.url));
    const profile = profileFolder === null ? [] : profileArguments(profileFolder, name);
    // They end by themselves when their standard input does.
    const child = spawn(process.execPath, [...profile, main, JSON.stringify(setting)], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    const member = new MemberProcess({ name, child, signal });
    this.#members.add(member);
    await member.ready;
    return member;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
