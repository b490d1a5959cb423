// Gather process: what this machine says of itself and of the member that runs here, in /proc.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { type ZodType, z } from "zod";
import { parseStat } from "../../vms/process-table.ts";
import { plainText } from "../table.ts";
import { readyFileOf, type Target } from "./target.ts";

export interface MachineFacts {
  readonly nodeVersion: string;
  readonly platform: string;
  readonly arch: string;
  /** null: there is no /proc that says it. */
  readonly kernel: string | null;
  /** By which VMs are known again after a restart of the agent. */
  readonly hasBootId: boolean;
  readonly hasProcessTable: boolean;
  /** A shell bounds the memory of the process of queries. */
  readonly hasShell: boolean;
}

export interface RunningFacts {
  readonly pid: number;
  /** As its ready file names it; of an agent where its API is. */
  readonly api: string | null;
}

export interface FilesFacts {
  /** Of which the figures are: the member that runs, or what is started from here. */
  readonly of: "running" | "shell";
  /** The hard limit: Node raises its own to that at the start. Infinity: none. null: not known. */
  readonly limit: number | null;
  readonly open: number | null;
}

const COMMAND_CHARS_MAX = 160;
export const pidShape: ZodType<number> = z.number().int().positive();
const readyShape = z.looseObject({ pid: pidShape, api: z.string().optional() });

export function gatherMachine(): MachineFacts {
  const { version, platform, arch } = process;
  return {
    nodeVersion: version,
    platform,
    arch,
    kernel: readOrNull("/proc/sys/kernel/osrelease"),
    hasBootId: readOrNull("/proc/sys/kernel/random/boot_id") !== null,
    hasProcessTable: parseStat(readOrNull("/proc/self/stat") ?? "") !== null,
    hasShell: existsSync("/bin/sh"),
  };
}

/** The process that the member's ready file names, if it is alive and one of ours; null: it does not run, or not where we can see it. */
export function gatherRunning(target: Pick<Target, "program" | "stateDir">): RunningFacts | null {
  const text = readOrNull(readyFileOf(target));
  const ready = readyShape.safeParse(parseJson(text));
  if (!ready.success) return null;
  const { pid, api = null } = ready.data;
  // The pid of one that was killed may be another's by now.
  return isProgram(pid, target.program) ? { pid, api } : null;
}

/** A process of ours of that kind has this pid on this machine. */
export function isProgram(pid: number, program: Target["program"]): boolean {
  return wordsOf(pid).includes(program);
}

export function gatherFiles(pid: number | null): FilesFacts {
  const who = pid ?? "self";
  const limits = readOrNull(`/proc/${who}/limits`);
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits ?? "") ?? [];
  const limit = hard === undefined ? null : hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
  return { of: pid === null ? "shell" : "running", limit, open: pid === null ? null : countOpen(pid) };
}

/** As it was started, without the folder of its program; null: there is none, or not ours to read. */
export function commandOf(pid: number): string | null {
  const [program = "", ...rest] = wordsOf(pid);
  const text = [path.basename(program), ...rest].join(" ").trim();
  if (text === "") return null;
  return plainText(text.length > COMMAND_CHARS_MAX ? `${text.slice(0, COMMAND_CHARS_MAX)}…` : text);
}

function wordsOf(pid: number): readonly string[] {
  return readOrNull(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
}

export function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
}

function countOpen(pid: number): number | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
}

function parseJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
