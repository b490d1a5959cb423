// Restore: registers after a majority of the voters is gone for good. What members hold is collected, a list that the root key
// signed begins the chain anew, and the highest certified record of each app is committed under it.

import { REGISTER_READ_MS, REGISTER_SWAP_MS, REGISTERS_AT_ONCE, RESTORE_EPOCH_GAP } from "../../limits.ts";
import type { MemberView } from "../../mesh.ts";
import { appKey } from "../../records/app.ts";
import { claimedNames } from "../../records/claimed-names.ts";
import type { ClaimFault } from "../../records/names.ts";
import { encodeCommitted } from "../../register/register-codec.ts";
import { fail, messageOf, ok, type Result } from "../../result.ts";
import { forEachAtOnce } from "./at-once.ts";
import type { CertifiedApp, CertifiedApps } from "./certified-apps.ts";
import type { RegisterClient } from "./register-client.ts";
import type { RegisterContext } from "./register-context.ts";
import type { ReplicatedRegister } from "./replicated-register.ts";
import type { VoterDirectory } from "./voter-directory.ts";

/** Answers all certified records that a member holds, one a chunk, by app. */
const CERTIFIED_SERVICE = "certified-records";

export interface CollectDeps extends RegisterContext {
  readonly apps: CertifiedApps;
  readonly directory: VoterDirectory;
}

export interface Collected {
  /** Those that answered, ourselves among them, and those that did not. */
  readonly asked: readonly MemberView[];
  readonly silent: readonly { readonly member: MemberView; readonly reason: string }[];
}

export function serveCertified({ mesh }: Pick<RegisterContext, "mesh">, apps: CertifiedApps): void {
  mesh.handle(CERTIFIED_SERVICE, async function* () {
    for (const { committed } of apps.all()) yield encodeCommitted(committed);
  });
}

/** Takes from every member that can be reached the voter lists and the records that it holds. */
export async function collect(deps: CollectDeps, signal: AbortSignal): Promise<Collected> {
  const { mesh } = deps;
  const silent: Collected["silent"][number][] = [];
  const others = mesh.members().filter(({ self }) => !self);
  await Promise.all(
    others.map(async (member) => {
      try {
        await collectFrom(deps, member, signal);
      } catch (error) {
        silent.push({ member, reason: messageOf(error) });
      }
    }),
  );
  signal.throwIfAborted();
  const isSilent = new Set(silent.map(({ member }) => member.owner));
  return { asked: mesh.members().filter(({ owner }) => !isSilent.has(owner)), silent };
}

async function collectFrom(
  { mesh, apps, directory }: CollectDeps,
  { owner, connected }: MemberView,
  stop: AbortSignal,
): Promise<void> {
  if (!connected) throw new Error("not connected");
  const signal = AbortSignal.any([stop, AbortSignal.timeout(REGISTER_READ_MS)]);
  await directory.fetched(owner, signal);
  for await (const encoded of mesh.call(owner, CERTIFIED_SERVICE, new Uint8Array(), signal)) {
    apps.takeUnnamed(encoded);
  }
}

export interface SeedDeps extends RegisterContext {
  readonly apps: CertifiedApps;
  readonly client: RegisterClient;
  readonly directory: VoterDirectory;
  readonly register: Pick<ReplicatedRegister, "claimAll">;
}

export interface Seeded {
  readonly apps: readonly CertifiedApp[];
  /** Names that an app has in its record and not for itself. */
  readonly faults: readonly ClaimFault[];
}

/**
 * Claims the names of all apps that are held, and then commits each, where nothing stands yet, at an epoch above all that may have
 * been lost. Of two that held one name, which takes a lost release of it, the first keeps it; the log names both. Said again after
 * a failure, it goes on.
 */
export async function seed(deps: SeedDeps, signal: AbortSignal): Promise<Result<Seeded>> {
  const { apps, directory, register, logger } = deps;
  const held = apps.all();
  try {
    // What an earlier try has committed under the new list stands as it is.
    const isSeeded = ({ committed }: CertifiedApp) => committed.certificate.list === directory.list?.number;
    const wanted = held.map((app) => ({
      claim: { app: app.record.app, epoch: isSeeded(app) ? app.epoch : app.epoch + RESTORE_EPOCH_GAP },
      names: claimedNames(app.record),
    }));
    const faults = await register.claimAll(wanted);
    for (const fault of faults) logger.error({ fault }, "a name was not restored");
    await forEachAtOnce(held, REGISTERS_AT_ONCE, (app) => seedOne(deps, app, signal));
    return ok({ apps: held, faults });
  } catch (error) {
    return fail(messageOf(error));
  }
}

async function seedOne(
  { client }: SeedDeps,
  { epoch, record, committed }: CertifiedApp,
  stop: AbortSignal,
): Promise<void> {
  const { app } = record;
  const seeded = { epoch: epoch + RESTORE_EPOCH_GAP, record: committed.value.record };
  const signal = AbortSignal.any([stop, AbortSignal.timeout(REGISTER_SWAP_MS)]);
  const outcome = await client.operate(appKey(app), { kind: "seed", ...seeded }, signal);
  if (outcome.kind !== "committed" && outcome.kind !== "conflict") {
    throw new Error(`${app} could not be committed: ${outcome.kind}`);
  }
}
