// Drain narrator: turns views of a host that is drained into lines for people, each said once: what each app does there, for whom its
// move waits, and that it has left. Pure: the same views at the same times give the same lines.

import type { DrainView, StayView } from "../deploy/drain-view.ts";
import { Narrator } from "./narrator.ts";
import { formatDuration, plainText } from "./table.ts";

/** An app that was there when we looked last. */
interface Said {
  /** What was said of it last. */
  readonly text: string;
  /** Of its move. */
  readonly narrator: Narrator | null;
  /** The last that ran there: if it is gone now, by that. */
  readonly rollout: string | null;
}

export class DrainNarrator {
  #apps: ReadonlyMap<string, Said> = new Map();
  #isFirst = true;
  /** Rollouts by which apps have left, by app. */
  readonly moved: Map<string, string | null> = new Map();

  /** The lines that are new since the last call. `ageMs`: since `view` came. */
  step(view: DrainView, ageMs: number, nowMs: number): readonly string[] {
    const head = this.#isFirst ? [headLine(view)] : [];
    this.#isFirst = false;
    const before = this.#apps;
    const lines: string[] = [];
    const now = new Map<string, Said>();
    for (const stay of view.apps) {
      const said = saidOf(stay, before.get(stay.app));
      now.set(stay.app, said);
      if (said.text !== before.get(stay.app)?.text) lines.push(...textOf(stay));
      const told = stay.view === null ? [] : (said.narrator?.step(stay.view, ageMs, nowMs) ?? []);
      lines.push(...told.map(({ text }) => `${stay.app}: ${text.trimStart()}`));
    }
    const gone = [...before].filter(([app]) => !now.has(app));
    for (const [app, { rollout }] of gone) this.moved.set(app, rollout);
    this.#apps = now;
    const left = gone.map(
      ([app, { rollout }]) => `${app}: has left ${view.host}${rollout === null ? "" : ` by ${rollout}`}`,
    );
    return [...head, ...lines, ...left].map(plainText);
  }
}

function headLine({ host, apps }: DrainView): string {
  const are = apps.length === 1 ? "1 app is" : `${apps.length} apps are`;
  return `${host} is drained: nothing new is placed there, and ${are} to leave`;
}

function saidOf({ state, why, advice, rollout }: StayView, before: Said | undefined): Said {
  const text = `${why}${advice === null ? "" : `: ${advice}`}`;
  if (state !== "moves" || rollout === null)
    return { text, narrator: null, rollout: rollout ?? before?.rollout ?? null };
  const isSame = before?.rollout === rollout && before.narrator !== null;
  return { text, rollout, narrator: isSame ? before.narrator : new Narrator(rollout) };
}

/** Whose turn comes by itself is not worth a line. */
function textOf({ app, vms, state, why, advice, inMs }: StayView): readonly string[] {
  if (state === "due") return [];
  const when = inMs === null ? "" : ` (goes on by itself in ${formatDuration(inMs)})`;
  const hint = advice === null ? "" : `; ${advice}`;
  return [`${headOf(app, vms)}: ${why}${when}${hint}`];
}

function headOf(app: string, vms: readonly string[]): string {
  return vms.length === 0 ? app : `${app} (${vms.join(" ")})`;
}

/** What is left there, and what to do: for whoever stops watching. */
export function leftLines({ apps, host }: DrainView): readonly string[] {
  const lines = apps.map(({ app, vms, why, advice }) => {
    return `  ${headOf(app, vms)}: ${why}${advice === null ? "" : `; ${advice}`}`;
  });
  return lines.length === 0 ? [] : [plainText(`left on ${host}:`), ...lines.map(plainText)];
}
