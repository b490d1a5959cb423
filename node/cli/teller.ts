// Teller: tells what happens in a rollout that is followed: to a person on a terminal, as plain lines, or as a stream of JSON.

import type { AppView } from "../deploy/app-view.ts";
import { describeStep } from "../deploy/core/describe.ts";
import { LiveLines } from "./live-lines.ts";
import { describeWait, type Told } from "./narrator.ts";
import { print, printJson } from "./session.ts";
import { formatDuration, plainText } from "./table.ts";

export interface Teller {
  readonly tell: (told: Told) => void;
  /** How it stands now; called again and again. `ageMs`: since the view came. */
  readonly show: (view: AppView, ageMs: number) => void;
  /** The last that is told. `facts`: JSON. */
  readonly end: (lines: readonly string[], facts: object) => void;
  /** Leaves the terminal as it shall be; also after a failure. */
  readonly close: () => void;
}

export function tellerOf({ json }: { readonly json?: boolean }): Teller {
  if (json === true) return JSON_TELLER;
  return process.stdout.isTTY === true ? onTerminal(new LiveLines(process.stdout)) : PLAIN_TELLER;
}

/** One object a line; the last one's event is "end". */
const JSON_TELLER: Teller = {
  tell: ({ event, facts }) => printJson({ event, ...facts }),
  show: () => {},
  end: (_lines, facts) => printJson({ event: "end", ...facts }),
  close: () => {},
};

const PLAIN_TELLER: Teller = {
  tell: ({ text }) => print(text),
  show: () => {},
  end: (lines) => {
    for (const line of lines) print(line);
  },
  close: () => {},
};

/** What happened stays; below it stands what the rollout is at, drawn again where it was. Waits are there, so they are no lines. */
export function onTerminal(lines: LiveLines): Teller {
  return {
    tell: ({ event, text }) => (event === "waiting" ? undefined : lines.print(text)),
    show: (view, ageMs) => lines.show(standOf(view, ageMs)),
    end: (last) => {
      lines.show([]);
      for (const line of last) lines.print(line);
    },
    close: () => lines.show([]),
  };
}

function standOf({ rollout }: AppView, ageMs: number): readonly string[] {
  const step = rollout?.step;
  if (step == null) return [];
  if (step.waitingFor.length > 0) return [describeWait(step, ageMs)];
  return [plainText(`step ${step.number} ${describeStep(step)} (${formatDuration(step.forMs + ageMs)})`)];
}
