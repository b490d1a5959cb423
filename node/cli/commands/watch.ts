// watch: every change that an agent learns of, as it comes.

import { z } from "zod";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { followLines } from "../follow-lines.ts";
import { type ClientOptions, print, printJson, withAgent } from "../session.ts";
import { plainText } from "../table.ts";

const entryShape = z.looseObject({
  key: z.string(),
  name: z.string().nullable(),
  owner: z.string(),
  version: z.looseObject({ counter: z.number() }),
  deleted: z.boolean(),
  bytes: z.number().optional(),
  short: z.string().optional(),
});
type WatchedEntry = z.infer<typeof entryShape>;

const lineShape = z.looseObject({
  position: z.string().nullable(),
  entry: entryShape.optional(),
  snapshotEnd: z.looseObject({ entries: z.number() }).optional(),
  change: entryShape.optional(),
  restart: z.looseObject({ reason: z.string() }).optional(),
});

/** Ctrl-C ends it with 0: there is no other end to wait for. */
export function watch(prefix: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("watch", options, async ({ client, signal }) => {
    await client.learnAgents(signal);
    let position: string | null = null;
    const restart = (why: string): void => {
      position = null;
      process.stderr.write(`grapevine watch: begins anew: ${plainText(why)}\n`);
    };
    const hear = (raw: unknown): void => {
      const line = lineShape.parse(raw);
      position = line.position;
      if (options.json === true) printJson(raw);
      else if (line.entry !== undefined) print(describe(line.entry));
      else if (line.snapshotEnd !== undefined)
        print(`-- these ${line.snapshotEnd.entries} are there; changes follow`);
      else if (line.change !== undefined) print(`${timeOf(new Date())}  ${describe(line.change)}`);
      if (line.restart !== undefined) restart(line.restart.reason);
    };
    const request = () => ({ method: "GET", path: pathOf(prefix, position) }) as const;
    const refused = (error: { readonly code: string; readonly message: string }): boolean => {
      if (error.code === "gone") restart(error.message);
      return error.code === "gone";
    };
    await followLines(client, { request, hear, refused }, signal);
    return EXIT.done;
  });
}

/** From within a snapshot nobody can go on: the agent says so, and it begins anew. */
function pathOf(prefix: string, position: string | null): string {
  const from = position === null ? {} : { from: position };
  return `/v1/watch?${new URLSearchParams({ prefix, ...from })}`;
}

function describe({ key, name, owner, version, deleted, bytes, short }: WatchedEntry): string {
  const what = deleted ? "deleted" : (short ?? `${bytes ?? 0} bytes`);
  return plainText(`${key}  ${name ?? owner}  @${version.counter}  ${what}`);
}

/** "13:07:42.123Z", of this machine's clock. */
function timeOf(date: Date): string {
  return date.toISOString().slice(11);
}
