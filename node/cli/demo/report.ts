// Report: what the demo's clients saw and what each deploy waited for. A pure function of the facts.

import { formatDuration } from "../table.ts";
import type { DeployFacts } from "./deploy-folder.ts";
import { hasFailed, type Sample } from "./load-client.ts";

export interface DemoFacts {
  /** From the commit of the first deploy to the first whole answer that a client got, milliseconds. */
  readonly firstServedMs: number;
  readonly launch: DeployFacts;
  readonly deploys: readonly DeployFacts[];
  readonly samples: readonly Sample[];
}

export interface DemoReport {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly exitCode: 0 | 1;
}

/** Failures shown in full; more of them say the same. */
const FAILURES_SHOWN_MAX = 5;

export function demoReport(facts: DemoFacts): DemoReport {
  const { samples, deploys, launch } = facts;
  const failed = samples.filter(hasFailed);
  const shown = [
    { ...launch, writeToLastTable: writeToLastTable(launch), bothServedMs: null },
    ...deploys.map((deploy) => ({
      ...deploy,
      writeToLastTable: writeToLastTable(deploy),
      bothServedMs: mixing(samples, deploy.release),
    })),
  ];
  const json = {
    firstServedMs: round(facts.firstServedMs),
    requests: samples.length,
    failed: failed.length,
    requestsByRelease: countByRelease(samples),
    latencyMs: latencies(samples),
    launch: shown[0],
    deploys: shown.slice(1),
  };
  const { p50, p99, max } = json.latencyMs;
  const byRelease = Object.entries(json.requestsByRelease).map(([release, count]) => `${release} ${count}`);
  const lines = [
    "",
    `first launch   ${formatDuration(facts.firstServedMs)} from submit to the first request served`,
    `requests       ${samples.length} sent, ${failed.length} failed; served by ${byRelease.join(", ")}`,
    `latency        p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
    ...shown.flatMap(describeDeploy),
    "",
    "Write to last table: from the commit of a step to the last proxy's word that it routes by it.",
    ...failed.slice(0, FAILURES_SHOWN_MAX).map((sample) => `failed: ${JSON.stringify(sample)}`),
    failed.length === 0 ? "No request failed." : `${failed.length} requests failed.`,
    "",
  ];
  return { text: lines.join("\n"), json, exitCode: failed.length === 0 ? 0 : 1 };
}

type ShownDeploy = DeployFacts & {
  readonly writeToLastTable: readonly TableWrite[];
  readonly bothServedMs: number | null;
};

interface TableWrite {
  readonly step: string;
  readonly ms: number;
}

/** The steps that wait for the proxies, each with its wait: an upper bound, since it also holds what else they must do. */
function writeToLastTable({ steps }: DeployFacts): readonly TableWrite[] {
  const ofProxies = steps.filter(({ kind }) => kind === "serve" || kind === "cordon");
  return ofProxies.map(({ kind, waitedMs }) => ({ step: kind, ms: waitedMs }));
}

function describeDeploy(deploy: ShownDeploy): readonly string[] {
  const { release, tookMs, steps, healthyToSilentMs, bothServedMs } = deploy;
  const writes = deploy.writeToLastTable.map(({ step, ms }) => `${step} ${formatDuration(ms)}`);
  return [
    "",
    `deploy ${release}      ${formatDuration(tookMs)}, with the start of the command`,
    ...steps.map((step) => `  ${step.kind.padEnd(7)} ${step.vms.join(" ").padEnd(12)} ${step.outcome}`),
    `  write to last table: ${writes.join(", ")}`,
    ...(healthyToSilentMs === null
      ? []
      : [`  from "new VM healthy" to "old VM gets no request": ${formatDuration(healthyToSilentMs)}`]),
    ...(bothServedMs === null ? [] : [`  both releases served for ${formatDuration(bothServedMs)}`]),
  ];
}

/** How long clients got answers of both releases: from the first of `release` to the last of an older one, by sending time. */
function mixing(samples: readonly Sample[], release: string): number {
  const number = releaseNumber(release);
  const first = Math.min(...samples.filter((one) => one.release === release).map((one) => one.dueMs));
  const older = samples.filter((one) => one.release !== null && releaseNumber(one.release) < number);
  const last = Math.max(...older.map((one) => one.dueMs));
  return Math.max(0, last - first);
}

function releaseNumber(release: string): number {
  return Number(release.slice(1));
}

function countByRelease(samples: readonly Sample[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { release } of samples) counts[release ?? "none"] = (counts[release ?? "none"] ?? 0) + 1;
  return counts;
}

function latencies(samples: readonly Sample[]): {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
} {
  const sorted = samples.map((sample) => sample.doneMs - sample.dueMs).sort((left, right) => left - right);
  const at = (share: number): number => round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
