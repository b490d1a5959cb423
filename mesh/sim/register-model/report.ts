// Report: what an exploration found, in words.

import type { Exploration } from "./explore.ts";

/** One line, and the story if there is a violation. */
export function describeExploration(exploration: Exploration): string {
  const { scenario, broken, violation, states, transitions, depth, cuts, seconds } = exploration;
  const without = broken === null ? "" : ` without ${broken}`;
  const how = exploration.isExhausted ? "all within the bounds" : "not to the end";
  const counts = `${count(states)} states, ${count(transitions)} transitions, depth ${depth}`;
  const line = `${scenario}${without}: ${counts}, ${count(cuts)} cut by the bound on ballots, ${seconds.toFixed(1)} s: `;
  if (violation === null) return `${line}${how}, one-register holds\n`;
  const story = violation.story.map((step) => `${step}\n`).join("");
  return `${line}one-register FAILS after ${violation.depth} moves\n${story}     ${violation.text}\n`;
}

export function describeTotal(explorations: readonly Exploration[], seconds: number): string {
  const sum = (of: (one: Exploration) => number) => explorations.reduce((total, one) => total + of(one), 0);
  const states = count(sum((one) => one.states));
  const transitions = count(sum((one) => one.transitions));
  const isAll = explorations.every(({ isExhausted }) => isExhausted);
  const how = isAll ? "all to the end of its bounds" : "not all to the end";
  return `${explorations.length} scenarios, ${how}: ${states} states, ${transitions} transitions, ${seconds.toFixed(1)} s\n`;
}

function count(value: number): string {
  return value.toLocaleString("en");
}
