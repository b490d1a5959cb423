// Story text: what happened in a rollout, as a person reads it, while it runs or long after.

import { describeScale, describeStep } from "../deploy/core/describe.ts";
import type { AskedView, RolloutStory, StepStory, StoriesView } from "../deploy/story-view.ts";
import { SPARED_WORDS } from "./plan-text.ts";
import { formatDuration, formatTable, plainText } from "./table.ts";

export function storyText(story: RolloutStory): string {
  const lines = [
    headLine(story),
    ...(story.superseded === null
      ? []
      : [`began at the end of ${story.superseded.rollout}, which it superseded (${story.superseded.state})`]),
    ...(story.dropped === 0 ? [] : [`steps 1 to ${story.dropped} are not kept any more`]),
    ...story.steps.flatMap(stepLines),
    ...endLines(story),
  ];
  return lines.map((line) => `${plainText(line)}\n`).join("");
}

function headLine(story: RolloutStory): string {
  const { rollout, driver, startedAtMs } = story;
  const began = new Date(startedAtMs).toISOString().replace("T", " ").slice(0, 19);
  return `${rollout}: ${describeKind(story)}; began ${began}Z, driven by ${driver}`;
}

/** "a deploy from v1 to v2, rolling", "stop", "repair of v2", "move of v2 off host-1", "scale of v2 from 1 to 3 VMs". */
function describeKind({ kind, strategy, from, to, count, leaves }: RolloutStory): string {
  if (leaves !== undefined) return `move of ${to} off ${leaves}`;
  if (kind === "scale" && count !== null) return describeScale(to, count.before, count.after);
  if (kind === "restart" && strategy !== null) return `restart of ${to}, ${strategy}`;
  if (kind !== "deploy") return to === null ? kind : `${kind} of ${to}`;
  const way = from === null ? "the first deploy" : `a deploy from ${from} to ${to}`;
  return strategy === null ? way : `${way}, ${strategy}`;
}

function stepLines(step: StepStory): readonly string[] {
  const at = step.afterMs === null ? "" : ` (${formatDuration(step.afterMs)} after the begin)`;
  const back = step.back ? "on the way back: " : "";
  const what = describeStep(step);
  const details = [
    ...(step.asked ?? []).map((one) => askedLine(one, step)),
    ...(step.asked === null ? ["who was asked is not kept"] : []),
    ...(step.askedMore > 0 ? [moreLine(step.askedMore)] : []),
    ...(step.quorum === null ? [] : [`${step.quorum} of the proxies sufficed`]),
    ...step.spared.map(({ proxy, why }) => `did not ask ${proxy}: ${SPARED_WORDS[why]}`),
    ...step.forced.map(
      (host) => `did not wait for ${host}: a person said --force-unsafe; two processes may have run at once`,
    ),
    ...step.fenced.map((host) => `did not ask ${host}: it was off, as a person said`),
    outcomeLine(step),
  ];
  return [`${back}step ${step.number} ${what}${at}`, ...details.map((line) => `  ${line}`)];
}

function moreLine(count: number): string {
  return `${count} more ${count === 1 ? "was" : "were"} asked, and answered sooner`;
}

function askedLine({ who, what, ms }: AskedView, { running }: StepStory): string {
  if (ms !== null) return `waited for ${who} ${what}: after ${formatDuration(ms)}`;
  return running
    ? `waits for ${who} ${what}`
    : `waited for ${who} ${what}: it had not answered when the step was over`;
}

function outcomeLine({ running, outcome, waitedMs, epoch, decided }: StepStory): string {
  const at = epoch === null ? "" : `, at epoch ${epoch}`;
  if (running) return `so far ${formatDuration(waitedMs)}${at}: ${outcome}`;
  const next = decided === null ? "" : `; so ${decided}`;
  return `over after ${formatDuration(waitedMs)}${at}: ${outcome}${next}`;
}

function endLines(story: RolloutStory): readonly string[] {
  const { state, reason, except, startedAtMs, endedAtMs, next } = story;
  const took = endedAtMs === null ? "" : ` after ${formatDuration(endedAtMs - startedAtMs)}`;
  return [
    `${state}${took}`,
    ...(next === null ? [] : [`${next} begins as soon as it is over`]),
    ...(reason === null ? [] : [`reason: ${reason.message} (${reason.code})`]),
    ...(reason?.lastLines ?? []).map((line) => `  | ${line}`),
    ...(except.length === 0 ? [] : [`had not confirmed it at the end: ${except.join(", ")}`]),
  ];
}

/** Newest first. */
export function historyText({ app, answeredBy, rollouts }: StoriesView): string {
  if (rollouts.length === 0) return `${app} had no rollout yet\n`;
  const header = ["ROLLOUT", "WHAT", "STATE", "BEGAN", "TOOK", "STEPS", "DRIVER", "REASON"];
  const cells = [...rollouts].reverse().map((story) => {
    const { rollout, state, startedAtMs, endedAtMs, steps, dropped, driver, reason } = story;
    const began = `${new Date(startedAtMs).toISOString().slice(0, 19)}Z`;
    const took = endedAtMs === null ? "-" : formatDuration(endedAtMs - startedAtMs);
    const count = String(dropped + steps.length);
    return [rollout, describeKind(story), state, began, took, count, driver, reason?.message ?? ""];
  });
  return `${formatTable(header, cells)}as ${answeredBy} saw it; \`grapevine explain ROLLOUT\` tells of one\n`;
}
