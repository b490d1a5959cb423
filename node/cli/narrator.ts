// Narrator: turns views of a rollout into what there is to tell, each thing once: steps that ended, VMs that changed, and whom a step waits
// for once that takes long. As a line for people, with the facts for programs. Pure: the same views at the same times tell the same.

import type { AppView, RolloutView, StepView, VmView, Waiting } from "../deploy/app-view.ts";
import {
  counted,
  describePersonHold,
  describeScale,
  describeSubject,
  releaseName,
} from "../deploy/core/describe.ts";
import { agedStep } from "./aged.ts";
import { EXIT, type ExitCode, isPastEnd } from "./exit-code.ts";
import { formatDuration, plainText } from "./table.ts";

/** Waits shorter than this are the normal course and not worth a line. */
const WAIT_SAID_AFTER_MS = 1_000;
/** Proxies and gates say where they stand every 2 s, and a little later on a busy machine. */
const SILENT_AFTER_MS = 3_000;
/** The same wait is said again so often. */
const WAIT_REPEATED_MS = 10_000;

/** A number that stands alone, not that of a name. */
const FIGURE = /(?<![\w-])\d+(?![\w-])/g;

/** One thing that happened: `text` for people, the rest for programs. */
export interface Told {
  readonly event:
    | "conflict"
    | "submitted"
    | "begun"
    | "agent-lost"
    | "agent-back"
    | "vm"
    | "step"
    | "back"
    | "paused"
    | "resumed"
    | "stalled"
    | "previews"
    | "fenced"
    | "waiting";
  readonly text: string;
  /** JSON. */
  readonly facts: object;
}

export class Narrator {
  readonly #rollout: string;
  #stepsSaid: number;
  #direction: RolloutView["direction"] = "forward";
  readonly #vmsSaid = new Map<string, string>();
  /** Waits of the last WAIT_REPEATED_MS, and when each was said: a canary's goes to and fro between two. */
  #waitsSaid: ReadonlyMap<string, number> = new Map();
  #stallSaid: string | null = null;
  #previewsSaid = "";
  /** Which way it went when it was paused; null: it is not. */
  #pausedOnWay: RolloutView["direction"] | null = null;
  #fencedSaid: readonly string[] = [];

  /** `fromStep`: those before it were over when somebody asked for that one. */
  constructor(rollout: string, fromStep = 1) {
    this.#rollout = rollout;
    this.#stepsSaid = fromStep - 1;
  }

  /** What is new since the last call. `ageMs`: since `view` came. */
  step(view: AppView, ageMs: number, nowMs: number): readonly Told[] {
    const rollout = view.rollout;
    if (rollout === null || rollout.id !== this.#rollout) return [];
    return [
      ...this.#ofVms(view.vms),
      ...this.#ofCourse(rollout),
      ...this.#ofPause(rollout),
      ...this.#ofStall(rollout.stalled ?? null),
      ...this.#ofPreviews(view.previews ?? [], rollout.kind),
      ...this.#ofFences(view.fenced ?? []),
      ...this.#ofWait(rollout.step, ageMs, nowMs),
    ];
  }

  #ofPause({ state, direction, pause, step }: RolloutView): readonly Told[] {
    const before = this.#pausedOnWay;
    const isPaused = state === "paused";
    if (isPaused === (before !== null)) return [];
    this.#pausedOnWay = isPaused ? direction : null;
    // Who aborts it resumes nothing.
    const isResumed = state === "running" && direction === before;
    if (!isPaused) return isResumed ? [{ event: "resumed", text: "resumed", facts: {} }] : [];
    const at = step === null ? "" : ` at step ${step.number} ${step.kind}`;
    const why = pause?.why ?? "";
    return [{ event: "paused", text: plainText(`paused${at}: ${why}`), facts: { why } }];
  }

  /** Once for each reason: until a majority answers nothing moves, whatever a step waits for. */
  #ofStall(stalled: string | null): readonly Told[] {
    if (stalled === this.#stallSaid) return [];
    this.#stallSaid = stalled;
    if (stalled === null) return [];
    const text = `${this.#rollout}: ${plainText(stalled)}`;
    return [{ event: "stalled", text, facts: { why: stalled } }];
  }

  #ofPreviews(previews: readonly string[], kind: RolloutView["kind"]): readonly Told[] {
    const names = previews.join(", ");
    if (names === this.#previewsSaid) return [];
    this.#previewsSaid = names;
    if (names === "") return [];
    const what = kind === "restart" ? "each new VM" : "the new release";
    const text = `${what} is reached at ${plainText(names)}`;
    return [{ event: "previews", text, facts: { previews } }];
  }

  #ofFences(fenced: NonNullable<AppView["fenced"]>): readonly Told[] {
    const before = this.#fencedSaid;
    this.#fencedSaid = fenced.map(({ host }) => host);
    const begun = this.#fencedSaid.filter((host) => !before.includes(host));
    const ended = before.filter((host) => !this.#fencedSaid.includes(host));
    const said = (host: string, isFenced: boolean, what: string): Told => {
      return { event: "fenced", text: plainText(`${host} is ${what}`), facts: { host, isFenced } };
    };
    return [
      ...begun.map((host) => said(host, true, "fenced: its gate is not asked, its VMs count as stopped")),
      ...ended.map((host) => said(host, false, "back: it is not fenced any more, its gate is asked")),
    ];
  }

  #ofVms(vms: readonly VmView[]): readonly Told[] {
    return vms.flatMap((vm): readonly Told[] => {
      const text = describeVm(vm);
      if (vm.state === null || this.#vmsSaid.get(vm.vm) === text) return [];
      // What ran before and is as it was says nothing of this rollout.
      const isFirstAndFine =
        !this.#vmsSaid.has(vm.vm) &&
        vm.phase !== "starting" &&
        vm.phase !== "opening" &&
        vm.health === "healthy";
      this.#vmsSaid.set(vm.vm, text);
      return isFirstAndFine ? [] : [{ event: "vm", text: `  ${text}`, facts: vm }];
    });
  }

  /** In the order in which it went: that it turned back is said before the steps on the way back. */
  #ofCourse(rollout: RolloutView): readonly Told[] {
    const ended = rollout.history.filter(({ number }) => number > this.#stepsSaid);
    this.#stepsSaid = ended.at(-1)?.number ?? this.#stepsSaid;
    const forth = ended.filter(({ back }) => back !== true);
    const back = ended.filter(({ back }) => back === true);
    return [...forth.map(toldOfStep), ...this.#ofTurn(rollout), ...back.map(toldOfStep)];
  }

  #ofTurn({ direction, from, reason, kind }: RolloutView): readonly Told[] {
    if (direction === this.#direction) return [];
    this.#direction = direction;
    const target = from === null ? " to what ran before: nothing" : ` to v${from}`;
    const isWithin = kind === "scale" || kind === "restart";
    const text = `going back${isWithin ? "" : target}: ${plainText(reason?.message ?? "")}`;
    return [{ event: "back", text, facts: { to: releaseName(from), reason } }];
  }

  #ofWait(step: StepView | null, ageMs: number, nowMs: number): readonly Told[] {
    if (step === null || step.forMs + ageMs < WAIT_SAID_AFTER_MS || step.waitingFor.length === 0) return [];
    const waits = step.waitingFor.map(({ who, what }) => `${who} ${what}`).join(", ");
    // A count that goes up with each request is the same wait.
    const what = `${waitHead(step)} ${waits.replaceAll(FIGURE, "#")}`;
    const recent = [...this.#waitsSaid].filter(([, atMs]) => nowMs - atMs < WAIT_REPEATED_MS);
    this.#waitsSaid = new Map(recent);
    if (this.#waitsSaid.has(what)) return [];
    this.#waitsSaid = new Map([...recent, [what, nowMs]]);
    return [{ event: "waiting", text: describeWait(step, ageMs), facts: { step: agedStep(step, ageMs) } }];
  }
}

/** "deploy from v1 to v2", "move of v1 off host-2", "scale of v1 from 1 to 3 VMs", "restart of v1". */
export function describeChange({ kind, from, to, before, count, leaves }: RolloutView): string {
  const [old, next] = [from, to].map((number) => releaseName(number) ?? "nothing");
  if (leaves !== undefined) return `move of ${next} off ${leaves}`;
  if (kind === "scale") return describeScale(releaseName(to), before ?? 0, count ?? 0);
  return kind === "restart" ? `restart of ${next}` : `${kind} from ${old} to ${next}`;
}

/** "step 3 cordon hello-v1-1 at epoch 7 … acks 1/2; waiting for proxy-2 to acknowledge epoch 7, silent for 3.1 s (4.0 s)". `ageMs`: since the view came. */
export function describeWait(step: StepView, ageMs: number): string {
  const waits = step.waitingFor.map(
    (waiting) => `${waiting.who} ${waiting.what}${describeSilence(waiting, ageMs)}`,
  );
  return `${waitHead(step)} ${plainText(waits.join(", "))} (${formatDuration(step.forMs + ageMs)})`;
}

function waitHead(step: StepView): string {
  const acks = describeAcks(step.acks);
  const epoch = step.answers?.epoch === undefined ? "" : ` at epoch ${step.answers.epoch}`;
  return `step ${step.number} ${step.kind} ${describeSubject(step)}${epoch} … ${acks === "" ? "" : `${acks}; `}waiting for`;
}

function toldOfStep(report: RolloutView["history"][number]): Told {
  return { event: "step", text: describeStepReport(report), facts: report };
}

/** "step 4 stop hello-v1-1: gone after 12 ms (12 ms)". */
export function describeStepReport(report: RolloutView["history"][number]): string {
  const { number, kind, outcome, waitedMs, fenced = [] } = report;
  // To the second, as in the logs of those who acted on it.
  const said = fenced.map(
    ({ host, atMs }) => `; ${host} was fenced at ${new Date(atMs).toISOString().slice(0, 19)}Z, not asked`,
  );
  return `step ${number} ${kind} ${describeSubject(report)}: ${plainText(outcome + said.join(""))} (${formatDuration(waitedMs)})`;
}

/** "acks 2/2, slowest proxy-2 14 ms"; "" of a step that needs no proxy. */
export function describeAcks(acks: StepView["acks"]): string {
  if (acks === null) return "";
  const slowest =
    acks.slowest === null ? "" : `, slowest ${acks.slowest.proxy} ${formatDuration(acks.slowest.ms)}`;
  const quorum = acks.quorum === undefined || acks.quorum === acks.need ? "" : ` (${acks.quorum} suffice)`;
  return `acks ${acks.have}/${acks.need}${quorum}${slowest}`;
}

/** "proxy-2 to acknowledge epoch 7 since 12 s, silent for 3.1 s". */
export function describeWaiting(waiting: Waiting): string {
  const since = `${waiting.who} ${waiting.what} since ${formatDuration(waiting.forMs)}`;
  return plainText(`${since}${describeSilence(waiting, 0)}`);
}

/** `ageMs`: since the view came. */
function describeSilence({ silentMs }: Waiting, ageMs: number): string {
  if (silentMs === undefined || silentMs + ageMs < SILENT_AFTER_MS) return "";
  return `, silent for ${formatDuration(silentMs + ageMs)}`;
}

function describeVm({ vm, host, state, health, restarts, reason }: VmView): string {
  const healthText = state === "running" ? `, ${health === "unknown" ? "not checked yet" : health}` : "";
  const restartText = restarts === 0 ? "" : `, restarted ${restarts} times`;
  const reasonText = reason === null ? "" : `: ${plainText(reason)}`;
  return `${vm} on ${host}: ${state}${healthText}${restartText}${reasonText}`;
}

/** The last lines: what came of it, why, and what to do next. `view.rollout` must be over. */
export function describeEnd(view: AppView, code: ExitCode): readonly string[] {
  const rollout = view.rollout;
  if (rollout === null) return [];
  const tookMs = (rollout.endedAtMs ?? rollout.startedAtMs) - rollout.startedAtMs;
  const head = `${rollout.id}: ${rollout.state} after ${formatDuration(tookMs)}`;
  return [
    `${head}${describeResult(view, rollout, code)}`,
    ...describeReason(rollout),
    ...describeNext(view, code),
  ];
}

/** The last lines of a command that waited for one step; its rollout goes on. */
export function describeStepEnd(view: AppView, step: number | undefined, code: ExitCode): readonly string[] {
  const { rollout, app } = view;
  const report = rollout?.history.find(({ number }) => number === step);
  if (rollout === null || report === undefined) return [];
  if (code !== EXIT.done) {
    const isBack = rollout.direction === "back";
    const so = isBack ? "the deploy goes back" : "whether every proxy had this split is not known";
    return [
      `${rollout.id}: ${plainText(report.outcome)}`,
      `next: ${so}; follow it with \`grapevine status -w ${app}\` (exit code ${code})`,
    ];
  }
  return [
    `${rollout.id}: every proxy sends ${describeShares(view.weights)} after ${formatDuration(report.waitedMs)}`,
    `next: \`grapevine promote ${app}\`, \`grapevine abort ${app}\`, or another split`,
  ];
}

/** Who was not waited for, and why. */
function exceptions({ rollout, excluded = [], fenced = [] }: AppView): readonly string[] {
  return (rollout?.except ?? []).map((member) => {
    const isExcluded = excluded.some((held) => held.proxy === member && held.by === "person");
    const isFenced = fenced.some(({ host }) => host === member);
    const what = isExcluded ? ", which is excluded," : isFenced ? ", which is fenced," : "";
    return `${member}${what} has not confirmed it`;
  });
}

function describeResult(view: AppView, rollout: RolloutView, code: ExitCode): string {
  if (code !== EXIT.done && code !== EXIT.doneExcept) return "";
  if (rollout.kind === "destroy") return `: nothing of ${view.app} runs or is routed`;
  if (rollout.kind === "stop") return ": no proxy routes there, it is stopped";
  if (rollout.kind === "move") return `: ${view.app} has left ${rollout.leaves ?? "its host"}`;
  if (rollout.kind === "weigh")
    return `: every proxy sends ${describeShares(view.weights)}${describeKept(view)}`;
  const serving = view.vms.filter((vm) => vm.phase === "serving").length;
  const at = view.hostnames.length === 0 ? "" : ` at ${view.hostnames.join(", ")}`;
  const more = `${describeKept(view)}${describeHeld(view)}`;
  return `: ${view.release ?? "nothing"} serves on every proxy with ${counted(serving, "VM")}${at}${more}`;
}

function describeHeld({ app, held }: AppView): string {
  return held?.by === "person" ? `; its ${describePersonHold(app)}` : "";
}

function describeKept({ kept }: AppView): string {
  return kept == null ? "" : `; ${kept.release} is kept for ${formatDuration(kept.forMs)}`;
}

/** "v1=90 v2=10". */
export function describeShares(weights: AppView["weights"]): string {
  return Object.entries(weights)
    .map(([release, percent]) => `${release}=${Math.round(percent)}`)
    .join(" ");
}

function describeReason({ reason }: RolloutView): readonly string[] {
  if (reason === null) return [];
  const output = reason.lastLines.map((line) => `  | ${plainText(line)}`);
  const head = output.length === 0 ? [] : ["the last lines of its output:"];
  return [`reason: ${plainText(reason.message)}`, ...head, ...output];
}

function describeNext(view: AppView, code: ExitCode): readonly string[] {
  const isHeldInVain = view.rollout?.kind === "weigh" && view.rollout.history.at(-1)?.kind === "hold";
  if (view.rollout?.kind === "weigh" && !isHeldInVain && code === EXIT.timedOut)
    return [
      `next: the split stands; see who did not answer with \`grapevine status ${view.app}\`, and ask again: that waits for all once more`,
    ];
  if (view.rollout?.leaves !== undefined && (code === EXIT.timedOut || code === EXIT.failed))
    return [
      `next: it is tried again while ${view.rollout.leaves} is drained: \`grapevine host drain ${view.rollout.leaves}\` follows it`,
    ];
  const running = describeRunning(view);
  const isWithin = view.rollout?.kind === "scale" || view.rollout?.kind === "restart";
  if (isWithin && code !== EXIT.done && code !== EXIT.doneExcept)
    return [`next: ${running}; see why with \`grapevine explain ${view.rollout?.id}\`, then ask again`];
  if (isHeldInVain && code === EXIT.timedOut)
    return [
      `next: ${running}, and what was held went there; see who did not answer with \`grapevine status ${view.app}\`, then ask again`,
    ];
  switch (code) {
    case EXIT.done:
      return [];
    case EXIT.doneExcept:
      return [`except: ${[...leftoversAtEnd(view), ...exceptions(view)].join("; ")}`];
    case EXIT.timedOut:
      return [
        `next: ${running}; see who did not answer with \`grapevine status ${view.app}\` and \`grapevine members\`, then deploy again`,
      ];
    case EXIT.failed:
      return [`next: ${running}; mend the release and deploy again`];
    default:
      return [`next: ${running}; deploy again when it should be otherwise`];
  }
}

function leftoversAtEnd({ leftovers }: AppView): readonly string[] {
  return leftovers.flatMap((leftover) => (isPastEnd(leftover) ? [] : [describeWaiting(leftover)]));
}

function describeRunning({ release, held }: AppView): string {
  if (release === null) return "nothing of it serves";
  return held?.by === "idle" ? `${release} sleeps, and a request wakes it` : `${release} serves as before`;
}
