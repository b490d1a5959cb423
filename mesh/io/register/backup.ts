// Backup: the certified records as JSON, with the voter lists that prove them. It is no secret, and cannot be forged.

import { z } from "zod";
import { encodeCommitted } from "../../register/register-codec.ts";
import { decodeLink, encodeLink, VoterChain } from "../../register/voter-chain.ts";
import { fail, ok, type Result } from "../../result.ts";
import type { CertifiedApps } from "./certified-apps.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";

/** All bytes in base64. */
export interface RegistersBackup {
  readonly format: 1;
  readonly cluster: string;
  /** Of the chain of voter lists, oldest first. */
  readonly lists: readonly string[];
  /** `encodeCommitted`, by app. */
  readonly records: readonly string[];
}

const backupShape = z.strictObject({
  format: z.literal(1),
  cluster: z.string(),
  lists: z.array(z.base64()),
  records: z.array(z.base64()),
});

export function encodeBackup(parts: {
  readonly directory: VoterDirectory;
  readonly apps: CertifiedApps;
}): RegistersBackup {
  const { directory, apps } = parts;
  return {
    format: 1,
    cluster: directory.cluster,
    lists: directory.links.map((link) => base64(encodeLink(link))),
    records: apps.all().map(({ committed }) => base64(encodeCommitted(committed))),
  };
}

/** Takes the lists that a backup proves, and returns its records, which are judged as any others. */
export function readBackup(
  { cluster, mesh }: Pick<RegisterContext, "cluster" | "mesh">,
  directory: VoterDirectory,
  backup: unknown,
): Result<readonly Uint8Array[]> {
  const parsed = backupShape.safeParse(backup);
  if (!parsed.success) return fail(parsed.error.issues[0]?.message ?? "it cannot be read");
  if (parsed.data.cluster !== cluster) return fail(`it is of cluster ${parsed.data.cluster}`);
  const chain = new VoterChain(cluster, mesh.crypto);
  for (const text of parsed.data.lists) {
    const link = decodeLink(bytesOf(text));
    if (!link.ok) return link;
    const verdict = chain.learn(link.value);
    if (verdict.kind !== "adopted") return fail(`its voter list ${link.value.list.number} proves nothing`);
  }
  // A chain that ends earlier than ours adds nothing to what we know.
  for (const link of chain.links) directory.learn(encodeLink(link), mesh.self.owner);
  return ok(parsed.data.records.map(bytesOf));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
