// voters, registers: who keeps what is desired, how that is changed, and what to do when a majority of them is gone for good.

import { lstat, readFile, writeFile } from "node:fs/promises";
import { messageOf } from "../../../mesh/words.ts";
import type { CollectedView, RestoredView, VotersView } from "../../api/voters.ts";
import { collectedShape, registersBackupShape, restoredShape, votersShape } from "../answers.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { nameFirstVoters, nameVoters } from "../name-voters.ts";
import {
  ask,
  type ClientOptions,
  print,
  printJson,
  type Session,
  UsageError,
  withAgent,
} from "../session.ts";
import { formatDuration, formatTable } from "../table.ts";

/** A change commits every register anew before it is over. */
const CHANGE_TIMEOUT_MS = 120_000;
const RESTORE_TIMEOUT_MS = 300_000;

export interface RootKeyOptions extends ClientOptions {
  readonly rootKey: string;
}

export interface RestoreOptions extends RootKeyOptions {
  readonly voters: string;
  readonly backup?: string;
}

export function listVoters(options: ClientOptions): Promise<ExitCode> {
  return withAgent("voters", options, async (session) => {
    show(await ask(session, "/v1/voters", votersShape), options);
    return EXIT.done;
  });
}

export function initVoters(hosts: readonly string[], options: RootKeyOptions): Promise<ExitCode> {
  return withAgent("voters init", options, async (session) => {
    const { client, signal } = session;
    const voters = await nameFirstVoters(client, { hosts, rootKeyFile: options.rootKey }, signal);
    const names = voters.voters.map(({ name }) => name);
    if (!isSameSet(names, hosts)) {
      throw new UsageError(
        `the voters are ${names.join(", ")}: \`grapevine voters add\` and \`remove\` change them, one by one`,
      );
    }
    show(voters, options);
    return EXIT.done;
  });
}

export function addVoter(host: string, options: ClientOptions): Promise<ExitCode> {
  return changeVoters("voters add", { method: "POST", host }, options);
}

export function removeVoter(host: string, options: ClientOptions): Promise<ExitCode> {
  return changeVoters("voters remove", { method: "DELETE", host }, options);
}

function changeVoters(
  command: string,
  { method, host }: { readonly method: "POST" | "DELETE"; readonly host: string },
  options: ClientOptions,
): Promise<ExitCode> {
  return withAgent(command, options, async ({ client, signal }) => {
    const path = `/v1/voters/${encodeURIComponent(host)}`;
    const request = { method, path, isOwnWrite: true, answerTimeoutMs: CHANGE_TIMEOUT_MS } as const;
    show(votersShape.parse(await client.json(request, signal)), options);
    return EXIT.done;
  });
}

export function backupRegisters(file: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("registers backup", options, async (session) => {
    const backup = await ask(session, "/v1/registers", registersBackupShape, CHANGE_TIMEOUT_MS);
    await writeBackup(file, backup);
    const apps = backup.records.length;
    if (options.json === true) printJson({ file, apps });
    else print(`${file}: ${apps} apps, as a majority of the voters has them`);
    return EXIT.done;
  });
}

export function restoreRegisters(options: RestoreOptions): Promise<ExitCode> {
  return withAgent("registers restore", options, async (session) => {
    const beganAtMs = performance.now();
    const hosts = options.voters.split(",").filter((name) => name !== "");
    if (hosts.length === 0)
      throw new UsageError("--voters must name hosts, for example host-3,host-4,host-5");
    const saved = options.backup === undefined ? undefined : await readBackup(options.backup);
    const collected = await collect(session, saved);
    const { client, signal } = session;
    const standing = await ask(session, "/v1/voters", votersShape);
    // A restore that broke off after its list was in force goes on, with those that this list names.
    const named = { hosts, rootKeyFile: options.rootKey, isRestore: true };
    const begun = standing.voters.map(({ name }) => name);
    const goesOn = standing.restoring && isSameSet(begun, hosts);
    const voters = goesOn ? standing : await nameVoters(client, named, signal);
    const request = { method: "POST", path: "/v1/registers/restore", isOwnWrite: true } as const;
    const restored = restoredShape.parse(
      await client.json({ ...request, answerTimeoutMs: RESTORE_TIMEOUT_MS }, signal),
    );
    const tookMs = performance.now() - beganAtMs;
    if (options.json === true) printJson({ ...restored, silent: collected.silent, voters, tookMs });
    else for (const line of restoredLines({ restored, collected, voters, tookMs })) print(line);
    const isWhole = collected.silent.length === 0 && restored.names.length === 0;
    return isWhole ? EXIT.done : EXIT.doneExcept;
  });
}

async function collect({ client, signal }: Session, saved: unknown): Promise<CollectedView> {
  const request = { method: "POST", path: "/v1/registers/collect", isOwnWrite: true } as const;
  const body = saved === undefined ? {} : { json: saved };
  const answer = await client.json({ ...request, ...body, answerTimeoutMs: CHANGE_TIMEOUT_MS }, signal);
  return collectedShape.parse(answer);
}

/** An earlier backup of that name is replaced only by a whole one. */
async function writeBackup(file: string, backup: unknown): Promise<void> {
  const text = `${JSON.stringify(backup)}\n`;
  const there = await lstat(file).catch(() => null);
  try {
    // A pipe, a device, a link: what is behind it is not ours to replace.
    if (there !== null && !there.isFile()) await writeFile(file, text, { mode: 0o600 });
    else await (await import("../../../mesh/index.ts")).writeDurably(file, text, { mode: 0o600 });
  } catch (error) {
    throw new UsageError(`the backup cannot be written: ${messageOf(error)}`);
  }
}

async function readBackup(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new UsageError(`${file} holds no backup: ${messageOf(error)}`);
  }
}

interface Restoration {
  readonly restored: RestoredView;
  readonly collected: CollectedView;
  readonly voters: VotersView;
  readonly tookMs: number;
}

function restoredLines({ restored, collected, voters, tookMs }: Restoration): readonly string[] {
  const names = voters.voters.map(({ name }) => name).join(" ");
  return [
    `${restored.apps.length} apps restored under voter list ${voters.list} (${names}) in ${formatDuration(tookMs)}`,
    ...restored.apps.map(({ app, epoch }) => `  ${app} at epoch ${epoch}`),
    ...restored.names.map((fault) => `a name was not restored: ${fault}`),
    ...collected.silent.map(({ name, reason }) => `did not say what it holds: ${name}: ${reason}`),
  ];
}

function show(view: VotersView, options: ClientOptions): void {
  if (options.json === true) printJson(view);
  else print(votersText(view));
}

function votersText({ list, settled, voters }: VotersView): string {
  if (list === null) {
    return "no voters yet: `grapevine voters init NAME … --root-key FILE` names one host, or three";
  }
  const rows = voters.map(({ name, id, connected, state }) => [name, id, connected ? "yes" : "no", state]);
  const open = voters.filter(({ connected }) => connected).length;
  const majority = Math.floor(voters.length / 2) + 1;
  const health =
    open >= majority ? "" : `\nno majority can be reached from here: nothing can be changed, traffic goes on`;
  const progress = settled
    ? ""
    : ", not settled yet: it cannot be changed until every register was committed under it";
  return `${formatTable(["VOTER", "ID", "CONNECTED", "STATE"], rows)}list ${list}${progress}; ${majority} of ${voters.length} decide${health}`;
}

function isSameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}
