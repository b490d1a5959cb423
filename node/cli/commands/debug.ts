// debug bundle: one file for a bug report: what the cluster is, what each member holds and says of itself, without secrets.

import { existsSync } from "node:fs";
import path from "node:path";
import { programVersion } from "../../../mesh/index.ts";
import { messageOf } from "../../../mesh/words.ts";
import { memberRowsShape } from "../answers.ts";
import { type BundleMember, bundleParts } from "../bundle/bundle-parts.ts";
import { type CollectedPart, collectParts } from "../bundle/collect.ts";
import { type BundleFile, dropBundle, fillBundle, reserveBundle } from "../bundle/write-bundle.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import {
  ask,
  type ClientOptions,
  print,
  printJson,
  type Session,
  UsageError,
  withAgent,
} from "../session.ts";
import { plainText } from "../table.ts";

const LEFT_OUT = [
  "keys of members and of the cluster, and whatever else lies in the state folders",
  "values of environment variables, arguments of commands, and output of apps",
  "values of custom entries, and of kinds that this release does not know",
];

/** 6: written, except for parts that are named. */
export function debugBundle(file: string | undefined, options: ClientOptions): Promise<ExitCode> {
  return withAgent("debug bundle", options, async (session) => {
    const name = `grapevine-debug-${stampOf(new Date())}`;
    const target = path.resolve(file ?? `${name}.tar.gz`);
    if (existsSync(target)) throw new UsageError(`${target} is there already: name another file`);
    const members = await ask(session, "/v1/members", memberRowsShape);
    const parts = await writeParts({ target, folder: name, members }, session);
    const missing = parts.filter(({ problem }) => problem !== null);
    if (options.json === true) printJson(summary(target, parts));
    else print(describe(target, parts));
    return missing.length === 0 ? EXIT.done : EXIT.doneExcept;
  });
}

interface Bundle {
  readonly target: string;
  /** In it. */
  readonly folder: string;
  readonly members: readonly BundleMember[];
}

/** Nothing is there if it fails or is interrupted. */
async function writeParts(
  { target, folder, members }: Bundle,
  { client, signal }: Session,
): Promise<readonly CollectedPart[]> {
  await asUsage(target, reserveBundle(target));
  try {
    const parts = await collectParts(client, bundleParts(members), signal);
    const files: readonly BundleFile[] = [
      readme({ members, parts, askedBy: client.current }),
      versions(),
      ...parts,
    ];
    await asUsage(target, fillBundle(target, folder, files));
    return parts;
  } catch (error) {
    await dropBundle(target);
    throw error;
  }
}

async function asUsage(target: string, writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    throw new UsageError(`cannot write ${target}: ${messageOf(error)}`);
  }
}

/** "20251126-114700": of a name, so without what a file system or a shell may not like. */
function stampOf(date: Date): string {
  return date.toISOString().replaceAll(/[-:]/g, "").replace("T", "-").slice(0, 15);
}

function versions(): BundleFile {
  const { versions: node, platform, arch } = process;
  return {
    file: "versions.json",
    text: `${JSON.stringify({ ...programVersion(), node, platform, arch }, null, 1)}\n`,
  };
}

interface ReadmeFacts {
  readonly members: readonly BundleMember[];
  readonly parts: readonly CollectedPart[];
  readonly askedBy: string;
}

function readme({ members, parts, askedBy }: ReadmeFacts): BundleFile {
  const missing = parts.filter(({ problem }) => problem !== null);
  const lines = [
    `A bug report of a Grapevine cluster, ${new Date().toISOString()}, asked of ${askedBy}.`,
    "",
    `Members: ${members.map(({ name, role, state }) => `${name} (${role}, ${state})`).join(", ")}`,
    "",
    "Left out on purpose:",
    ...LEFT_OUT.map((line) => `- ${line}`),
    "",
    missing.length === 0 ? "Nothing is missing." : "Missing:",
    ...missing.map(({ file, problem }) => `- ${file}: ${problem}`),
  ];
  return { file: "README.txt", text: `${lines.join("\n")}\n` };
}

function summary(target: string, parts: readonly CollectedPart[]): object {
  const missing = parts.flatMap(({ file, problem }) => (problem === null ? [] : [{ file, problem }]));
  const written = parts.filter(({ problem }) => problem === null).map(({ file }) => file);
  return { file: target, written, missing, leftOut: LEFT_OUT };
}

function describe(target: string, parts: readonly CollectedPart[]): string {
  const missing = parts.filter(({ problem }) => problem !== null);
  return [
    `written: ${target}`,
    ...parts
      .filter(({ problem }) => problem === null)
      .map(({ file, text }) => `  ${file} (${text.length} characters)`),
    ...missing.map(({ file, problem }) => `missing: ${file}: ${problem}`),
    "left out on purpose:",
    ...LEFT_OUT.map((line) => `  ${line}`),
    "Look at it before you hand it on: names, addresses and the members' logs are in it.",
  ]
    .map((line) => `${plainText(line)}\n`)
    .join("");
}
