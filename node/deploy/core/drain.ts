// Drain: what keeps each app on a host that is drained, and which app moves next. Level-triggered: it follows from the records and from what
// hosts say, so whoever looks next, in whichever process, goes on where the last one was.

import {
  type AppName,
  type CommittedApp,
  isPinned,
  isUnderWay,
  type MemberName,
  placedVms,
  type Rollout,
  type VmName,
} from "../../../mesh/index.ts";
import { type CommitContext, isKept } from "./commits.ts";
import { isForPerson } from "./deadlines.ts";
import { keptHome } from "./home.ts";
import { leftoversOf } from "./housekeeping.ts";
import { movableVms } from "./move.ts";
import { place } from "./place.ts";

/**
 * Apps that move at once, over all hosts that are drained: each starts VMs, which costs CPU where they start, and each of its four
 * commits goes to every proxy. An app alone takes about a second, so a host of fifty is empty within a quarter of a minute.
 */
export const MOVES_MAX: number = 4;
/** After a move that failed: what is wrong is seldom over in seconds, and each try is some commits. */
const PAUSE_MS = 30_000;

/**
 * - `moves`: its move runs. `due`: it could move, and waits for its turn.
 * - `waits`: for what ends by itself. `stuck`: until a person does something, as `advice` says.
 */
type StayState = "moves" | "due" | "waits" | "stuck";

/** What keeps an app on a host. */
export interface Stay {
  readonly app: AppName;
  /** What of it is there, as its record or the host says; of a move that is about to end none any more. */
  readonly vms: readonly VmName[];
  readonly state: StayState;
  /** A clause that follows the app's name: "waits for the end of web-v3". */
  readonly why: string;
  /** What a person may do; null: nothing is needed. */
  readonly advice: string | null;
  /** The rollout that runs there; null: none does. */
  readonly rollout: string | null;
  /** When it goes on by itself, milliseconds since 1970; null: nobody knows. */
  readonly dueAtMs: number | null;
}

/** Null: nothing of the app is there, and no move off it runs. */
export function stayOf(committed: CommittedApp, host: MemberName, context: CommitContext): Stay | null {
  const { record } = committed;
  const named = placedVms(record).flatMap((vm) => (vm.host === host ? [vm.vm] : []));
  const listed = [...context.facts.vms].flatMap(([vm, seen]) => (seen.has(host) ? [vm] : []));
  const vms = [...new Set([...named, ...listed])].sort();
  const { rollout } = record;
  const shown = rollout !== null && isUnderWay(rollout) ? rollout : null;
  // Of a move the end is what says that all was seen.
  if (vms.length === 0 && !(shown?.kind === "move" && shown.leaves === host)) return null;
  const found =
    shown === null ? withoutRollout(committed, host, context) : ofRollout(shown, host, record.app);
  return { app: record.app, vms, rollout: shown?.id ?? null, advice: null, dueAtMs: null, ...found };
}

type Found = Pick<Stay, "state" | "why"> & Partial<Pick<Stay, "advice" | "dueAtMs">>;

function ofRollout(rollout: Rollout, host: MemberName, app: AppName): Found {
  const { id, kind, state, leaves } = rollout;
  if (state === "paused")
    return {
      state: "stuck",
      why: `does not move while ${id} is paused`,
      advice: `\`grapevine resume ${app}\` or \`grapevine abort ${app}\``,
    };
  if (kind === "move" && leaves === host) return { state: "moves", why: `moves by ${id}` };
  if (isForPerson(rollout))
    return {
      state: "stuck",
      why: `does not move while ${id} waits to be promoted`,
      advice: `\`grapevine promote ${app}\` or \`grapevine abort ${app}\``,
    };
  return { state: "waits", why: `waits for the end of ${id}, a ${kind}: \`grapevine status ${app}\`` };
}

function withoutRollout(committed: CommittedApp, host: MemberName, context: CommitContext): Found {
  const { record } = committed;
  const fact = context.facts.hosts.get(host);
  if (fact?.open !== true)
    return away(
      host,
      record.vms.some((vm) => vm.host === host),
    );
  const data = keptHome(record, host);
  if (data !== null) return atHome(record.app, host, data);
  if (movableVms(record, host).length > 0) return movable(committed, host, context);
  return kept(committed, host, context) ?? leaving(committed, host, context);
}

/** Nothing that Grapevine does brings data elsewhere. */
function atHome(app: AppName, host: MemberName, data: string): Found {
  return {
    state: "stuck",
    why: `cannot move: ${data}`,
    advice: `shut ${host} down with it, the app waits for it to be back; or copy the data to another host, then \`grapevine destroy ${app} --remove-data\` and deploy it there`,
  };
}

function away(host: MemberName, isNamed: boolean): Found {
  const how = isNamed
    ? "its VMs there are replaced once it has been dead for replace_after"
    : "whether its VMs there still run is not known";
  return {
    state: "stuck",
    why: `cannot move while ${host} is not connected: ${how}`,
    advice: `bring ${host} back; if it is off, \`grapevine host fence ${host}\``,
  };
}

function movable({ record }: CommittedApp, host: MemberName, context: CommitContext): Found {
  const { rollout } = record;
  const isFailed =
    rollout?.kind === "move" && (rollout.state === "failed" || rollout.state === "rolled-back");
  const dueAtMs = isFailed ? (rollout.endedAtMs ?? 0) + PAUSE_MS : 0;
  if (isFailed && dueAtMs > context.wallMs) {
    const message = rollout.reason?.message ?? rollout.state;
    return {
      state: "waits",
      why: `did not move: ${message}; it is tried again`,
      dueAtMs,
    };
  }
  const [first] = movableVms(record, host);
  const { vms } = record;
  const hosts = context.facts.hosts.values();
  const placing = place({ release: first?.release ?? 0, vms, hosts, count: 1 });
  if (placing.code === "placed") return { state: "due", why: "waits for its turn" };
  return {
    state: "stuck",
    why: `cannot move: ${placing.message}`,
    advice: `start an agent on one more host, or \`grapevine host uncordon\` one that has room`,
  };
}

/** Nothing serves there, and what is kept for a rollback is not given up by itself. */
function kept({ record }: CommittedApp, host: MemberName, { wallMs }: CommitContext): Found | null {
  const { kept, vms, app } = record;
  const names = vms.filter((vm) => vm.host === host && isKept(vm, record)).map(({ vm }) => vm);
  if (kept === undefined || names.length === 0 || wallMs >= kept.untilMs) return null;
  const forWhat = vms.some((vm) => isPinned(vm, record))
    ? "its pages, and for a rollback (pin_max_age"
    : "a rollback (keep_old";
  return {
    state: "waits",
    why: `keeps v${kept.release} there for ${forWhat} of ${app})`,
    advice: `to give it up now: ${names.map((vm) => `\`grapevine vm stop ${vm}\``).join(", ")}`,
    dueAtMs: kept.untilMs,
  };
}

/** It is out of routing: its host stops it, or somebody keeps it. */
function leaving(committed: CommittedApp, host: MemberName, { facts, wallMs }: CommitContext): Found {
  const left = leftoversOf(committed, facts, wallMs).filter(({ vm }) => vm.host === host);
  const keepers = left.flatMap(({ wants }) => wants.map(({ complaint }) => complaint));
  const why =
    keepers.length === 0 ? `is being stopped by ${host}` : `is to be retired: ${keepers.join("; ")}`;
  return { state: "waits", why };
}

/** The app whose move begins next, or null. `stays`: of all hosts that are drained. */
export function nextMove(stays: readonly (Stay & { readonly host: MemberName })[]): {
  readonly app: AppName;
  readonly host: MemberName;
} | null {
  const moving = stays.filter(({ state }) => state === "moves").length;
  const due = stays.filter(({ state }) => state === "due");
  return moving < MOVES_MAX ? (due[0] ?? null) : null;
}
