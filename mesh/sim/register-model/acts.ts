// Acts: what a desk can make of the answers that wait for it. They wait as long as its turn lasts, and hearing one is seen by nobody:
// so each way of hearing some of them is looked at only once it has led to something, as one step.

import type { AcceptorReply } from "../../register/acceptor.ts";
import { describeOutcome } from "../../register/testing/describe.ts";
import type { Desk, DeskResult } from "./desk.ts";
import type { DeskEdge, Parts } from "./parts.ts";

/** What a desk hears, or that its timer rings. */
export type LocalStep = "timer" | { readonly seat: number; readonly reply: number };

/** Steps of one desk up to one that others see, or that ends its operation. */
interface ActEdge {
  readonly edge: DeskEdge;
  readonly steps: readonly LocalStep[];
}

export interface Acts {
  readonly edges: readonly ActEdge[];
  readonly cuts: number;
}

/** The real code, with the desk's rules. */
export interface DeskSteps {
  readonly ring: (desk: Desk) => DeskResult;
  readonly hear: (desk: Desk, seat: number, reply: AcceptorReply) => DeskResult;
}

export interface Waiting {
  /** Sets of answers, by seat. */
  readonly replies: readonly number[];
  readonly steps: DeskSteps;
}

type LocalEdge = { readonly step: LocalStep; readonly edge: DeskEdge | "cut" | null };

export function findActs(parts: Parts, id: number, waiting: Waiting): Acts {
  const found = new Map<string, ActEdge>();
  const met = new Set([id]);
  let cuts = 0;
  const ways: { readonly desk: number; readonly steps: readonly LocalStep[] }[] = [{ desk: id, steps: [] }];
  const take = (edge: DeskEdge | "cut" | null, way: readonly LocalStep[]): void => {
    if (edge === "cut") cuts += 1;
    else if (edge !== null && (edge.isNewTurn || edge.ended !== null)) {
      const key = `${edge.desk} ${edge.ended === null ? "" : describeOutcome(edge.ended.outcome, null)}`;
      if (!found.has(key)) found.set(key, { edge, steps: way });
    } else if (edge !== null && !met.has(edge.desk)) {
      met.add(edge.desk);
      ways.push({ desk: edge.desk, steps: way });
    }
  };
  for (const { desk, steps: way } of ways)
    for (const { edge, step } of localEdges(parts, desk, waiting)) take(edge, [...way, step]);
  return { edges: [...found.values()], cuts };
}

/** Each step that the desk can make alone. */
export function localEdges(parts: Parts, id: number, { replies, steps }: Waiting): readonly LocalEdge[] {
  const heard = replies.flatMap((set, seat) =>
    parts.sets.get(set).map((reply) => {
      const step = { seat, reply };
      return { step, edge: parts.replyEdge(id, step, (desk) => steps.hear(desk, seat, parts.reply(reply))) };
    }),
  );
  return [{ step: "timer", edge: parts.aloneEdge(id, "timer", steps.ring) }, ...heard];
}
