// Fake driver: VMs that are rows in memory, for the tests of those who use a driver. Passes driver-compliance.
//
// Commands: ["run"] runs until stopped, ["exit", CODE, …LINES] writes lines and ends, ["ignore-stop"] ends by SIGKILL only.

import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { VmName } from "../../mesh/index.ts";
import { unlessAborted } from "../unless-aborted.ts";
import {
  type VmDriver,
  type VmExit,
  type VmHandle,
  type VmSpec,
  VmStartError,
  type VmStopOptions,
} from "./vm-driver.ts";

interface FakeVm {
  readonly vm: VmName;
  readonly spec: VmSpec;
  readonly number: number;
  readonly exited: PromiseWithResolvers<VmExit>;
  exit: VmExit | null;
}

/** The machine on which fake VMs run. It outlives the drivers, as real VMs outlive their agent. */
export class FakeMachine {
  readonly #vms: FakeVm[] = [];

  /** Specs of all that was ever started, oldest first. */
  get started(): readonly VmSpec[] {
    return this.#vms.map((vm) => vm.spec);
  }

  get running(): readonly VmName[] {
    return this.#vms.filter((vm) => vm.exit === null).map((vm) => vm.vm);
  }

  /** Ends the running VM of this name, as if by itself. */
  end(vm: VmName, exit: VmExit): void {
    const found = this.#vms.find((one) => one.vm === vm && one.exit === null);
    if (found === undefined) throw new Error(`fake: ${vm} does not run`);
    found.exit = exit;
    found.exited.resolve(exit);
  }

  /** Used by FakeDriver alone. */
  add(spec: VmSpec): FakeVm {
    const exited = Promise.withResolvers<VmExit>();
    const made = { vm: spec.vm, spec, number: this.#vms.length + 1, exited, exit: null };
    this.#vms.push(made);
    return made;
  }

  /** Used by FakeDriver alone. */
  get(handle: VmHandle): FakeVm | undefined {
    return this.#vms[Number(handle.identity["number"]) - 1];
  }

  /** Used by FakeDriver alone. */
  inFolder(folder: string): FakeVm | undefined {
    return this.#vms.find((one) => one.exit === null && one.spec.folder === folder);
  }
}

export class FakeDriver implements VmDriver {
  readonly kind = "fake";
  readonly #machine: FakeMachine;

  constructor(machine: FakeMachine) {
    this.#machine = machine;
  }

  check({ command: [program = ""] }: VmSpec): void {
    if (["run", "exit", "ignore-stop"].includes(program)) return;
    throw new VmStartError("command-not-found", `command not found: ${program}`);
  }

  async start(spec: VmSpec): Promise<VmHandle> {
    this.check(spec);
    const [program = "", code, ...lines] = spec.command;
    const made = this.#machine.add(spec);
    await mkdir(spec.folder, { recursive: true });
    await appendFile(join(spec.folder, "output.log"), lines.map((line) => `${line}\n`).join(""));
    if (program === "exit") this.#machine.end(spec.vm, { code: Number(code), signal: null });
    return handleOf(made);
  }

  async inspect(handle: VmHandle): ReturnType<VmDriver["inspect"]> {
    const found = this.#machine.get(handle);
    if (found?.exit === null) return { running: true };
    return { running: false, exit: found?.exit ?? { code: null, signal: null } };
  }

  async find(_vm: VmName, folder: string): Promise<VmHandle | null> {
    const found = this.#machine.inFolder(folder);
    return found === undefined ? null : handleOf(found);
  }

  async waitForExit(handle: VmHandle, signal: AbortSignal): Promise<VmExit> {
    const found = this.#machine.get(handle);
    if (found === undefined) return { code: null, signal: null };
    return await unlessAborted(found.exited.promise, signal);
  }

  async stop(handle: VmHandle, options: VmStopOptions): Promise<VmExit> {
    const found = this.#machine.get(handle);
    if (found === undefined) return { code: null, signal: null };
    const isDeaf = found.spec.command[0] === "ignore-stop" && options.stopSignal !== "SIGKILL";
    if (isDeaf && found.exit === null) {
      await delay(options.timeoutMs, undefined, { signal: options.signal });
    }
    const signal = isDeaf ? "SIGKILL" : options.stopSignal;
    if (found.exit === null) this.#machine.end(found.vm, { code: null, signal });
    return await found.exited.promise;
  }
}

function handleOf(found: FakeVm): VmHandle {
  return { driver: "fake", vm: found.vm, identity: { number: found.number } };
}
