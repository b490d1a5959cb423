// Doctor text: the report of `grapevine doctor` for people: a line for each check, and under what is not ok what follows and what to do.

import { counted } from "../../deploy/core/describe.ts";
import { formatDuration, plainText } from "../table.ts";
import { countOf, type Finding, type Skipped } from "./finding.ts";

export interface DoctorReport {
  /** Nothing fails. Warnings do not count. */
  readonly ok: boolean;
  /** Whose machine was looked at; null: none. */
  readonly member: { readonly name: string; readonly program: string; readonly running: boolean } | null;
  /** Which agent was asked of the cluster; null: none. */
  readonly askedBy: string | null;
  readonly findings: readonly Finding[];
  readonly skipped: readonly Skipped[];
  readonly tookMs: number;
}

const LEVEL_CHARS = 4;

export function doctorText({ member, findings, skipped, tookMs }: DoctorReport): string {
  const width = Math.max(0, ...[...findings, ...skipped].map(({ check }) => check.length));
  const indent = " ".repeat(LEVEL_CHARS + 2 + width + 2);
  const line = (level: string, check: string, text: string) =>
    `${level.padEnd(LEVEL_CHARS)}  ${check.padEnd(width)}  ${plainText(text)}`;
  const lines = [
    ...(member === null ? [] : [describeMember(member)]),
    ...findings.flatMap(({ level, check, found, means, next }) => [
      line(level, check, found),
      ...(means === null ? [] : [`${indent}so: ${plainText(means)}`]),
      ...(next === null ? [] : [`${indent}do: ${plainText(next)}`]),
    ]),
    ...skipped.map(({ check, why }) => line("-", check, `not looked at: ${why}`)),
    `${summary(findings)}, in ${formatDuration(tookMs)}`,
  ];
  return `${lines.join("\n")}\n`;
}

function describeMember({ name, program, running }: NonNullable<DoctorReport["member"]>): string {
  const state = running ? "it runs" : "it does not run";
  return program === "gate"
    ? `this machine, for the gate of ${name}: ${state}`
    : `this machine, for ${program} ${name}: ${state}`;
}

function summary(findings: readonly Finding[]): string {
  const fails = countOf(findings, "fail");
  const warns = counted(countOf(findings, "warn"), "warning");
  return `${countOf(findings, "ok")} ok, ${warns}, ${fails === 1 ? "1 fails" : `${fails} fail`}`;
}
