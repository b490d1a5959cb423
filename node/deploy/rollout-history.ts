// Rollout history: the kept rollouts of each app on this voter's disk, one file for each app, written when a rollout is over. It is what this
// voter saw: it decides nothing, so it is not replicated, and a file that cannot be read or written costs the history alone.

import { join } from "node:path";
import type { Logger } from "pino";
import { type ZodType, z } from "zod";
import {
  type AppName,
  type CommittedApp,
  decodeRecord,
  encodeRecord,
  isUnderWay,
  makeFolder,
  type RolloutStepReport,
  readIfThere,
  rolloutShape,
  stepReportShape,
  writeDurably,
} from "../../mesh/index.ts";
import {
  endedBy,
  type KeptRollout,
  keptOf,
  ROLLOUTS_KEPT_MAX,
  STEPS_KEPT_MAX,
  withKept,
} from "./core/kept-rollouts.ts";

/** In the state folder; made when there is something to keep. */
const FOLDER = "rollouts";
/** Of one app: its last rollouts with few VMs, or some of hundreds. The oldest go first. */
const HISTORY_BYTES_MAX = 512 * 1024;

interface FiledRollout extends KeptRollout {
  /** Beside the rollout, whose own list has room for as many as a record holds. */
  readonly steps: readonly RolloutStepReport[];
}

interface HistoryFile {
  readonly format: 1;
  readonly rollouts: readonly FiledRollout[];
}

const historyShape: ZodType<HistoryFile> = z.strictObject({
  format: z.literal(1),
  rollouts: z
    .array(
      z.strictObject({
        strategy: z.string().max(32).nullable(),
        rollout: rolloutShape,
        steps: z.array(stepReportShape).max(STEPS_KEPT_MAX),
      }),
    )
    .max(ROLLOUTS_KEPT_MAX),
});

export class RolloutHistory {
  readonly #folder: string;
  readonly #logger: Pick<Logger, "warn">;
  /** The last one of each app, as far as it was seen: of one that runs the steps that its record has no room for any more. */
  readonly #seen = new Map<AppName, KeptRollout>();
  /** Files are read and written one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(stateDir: string, logger: Pick<Logger, "warn">) {
    this.#folder = join(stateDir, FOLDER);
    this.#logger = logger;
  }

  /** A commit, in the order of epochs. */
  note({ record }: Pick<CommittedApp, "record">): void {
    const { app } = record;
    const before = this.#seen.get(app) ?? null;
    const kept = keptOf(record, before);
    if (kept === null) return;
    this.#seen.set(app, kept);
    // Its end was not seen, unless the next one tells of it: it is kept as it was.
    const isOther = before !== null && before.rollout.id !== kept.rollout.id;
    if (isOther && isUnderWay(before.rollout) && !isRoutine(before.rollout))
      this.#store(app, endedBy(before, kept));
    const isOver = !isUnderWay(kept.rollout) && !isRoutine(kept.rollout);
    if (isOver && (isOther || before === null || isUnderWay(before.rollout))) this.#store(app, kept);
  }

  /** Oldest first; the last may still run. */
  async of(app: AppName): Promise<readonly KeptRollout[]> {
    await this.#work;
    const filed = await this.#read(app);
    const seen = this.#seen.get(app);
    return seen === undefined ? filed : withKept(filed, seen);
  }

  /** Resolves when all that was noted is on disk. */
  stop(): Promise<void> {
    return this.#work;
  }

  #store(app: AppName, kept: KeptRollout): void {
    this.#work = this.#work.then(async () => {
      try {
        const filed = await this.#read(app);
        const next = withKept(filed, kept);
        if (JSON.stringify(next) === JSON.stringify(filed)) return;
        makeFolder(this.#folder, 0o700);
        await writeDurably(this.#fileOf(app), bytesOf(next), { mode: 0o600 });
      } catch (error) {
        this.#logger.warn({ app, error: String(error) }, "a rollout cannot be kept in the history");
      }
    });
  }

  async #read(app: AppName): Promise<readonly KeptRollout[]> {
    const bytes = await readIfThere(this.#fileOf(app));
    if (bytes === undefined) return [];
    const file = decodeRecord(historyShape, bytes);
    if (file.ok)
      return file.value.rollouts.map(({ strategy, rollout, steps }) => {
        return { strategy, rollout: { ...rollout, history: steps } };
      });
    this.#logger.warn({ app, error: file.error }, "the history cannot be read: it begins anew");
    return [];
  }

  #fileOf(app: AppName): string {
    return join(this.#folder, app);
  }
}

/** It comes and goes with who asks for the app, and would leave no room for the rest. */
function isRoutine({ kind, state }: KeptRollout["rollout"]): boolean {
  return (kind === "sleep" || kind === "wake") && state !== "failed";
}

function bytesOf(all: readonly KeptRollout[]): Uint8Array {
  const rollouts = all.map(({ strategy, rollout }) => {
    return { strategy, rollout: { ...rollout, history: [] }, steps: rollout.history };
  });
  const bytes = encodeRecord({ format: 1, rollouts } satisfies HistoryFile);
  return bytes.byteLength <= HISTORY_BYTES_MAX || all.length <= 1 ? bytes : bytesOf(all.slice(1));
}
