// Leftovers: what the engine still has of a run, by the run's id, and its removal. A run that ended well or badly has none.

import { docker } from "./docker.ts";

/** Between two looks of a removal: a command of the run may be under way yet. */
const SETTLE_MS = 500;
/** After this many looks something holds what should go, and somebody must be told. */
const LOOKS_MAX = 20;

export function runLabel(runId: string): string {
  return `grapevine.run=${runId}`;
}

/** Our label on what we make, and the one that compose puts on what it makes for a project of that name. */
function labelFilters(runId: string): readonly string[] {
  return [`label=${runLabel(runId)}`, `label=com.docker.compose.project=${runId}`];
}

/** In the order in which they can be removed. An image is the run's if it has the run's name; what it is made of stays, as a cache. */
const KINDS = {
  container: {
    list: ["container", "ls", "--all", "--quiet"],
    filters: labelFilters,
    remove: ["container", "rm", "--force", "--volumes"],
  },
  network: { list: ["network", "ls", "--quiet"], filters: labelFilters, remove: ["network", "rm"] },
  volume: { list: ["volume", "ls", "--quiet"], filters: labelFilters, remove: ["volume", "rm", "--force"] },
  image: {
    list: ["image", "ls", "--format", "{{.Repository}}"],
    filters: (runId: string) => [`reference=${runId}`],
    remove: ["image", "rm", "--no-prune"],
  },
} as const;

type Kind = keyof typeof KINDS;

/** "container 4f0c…", one for each thing. */
export async function leftovers(runId: string): Promise<readonly string[]> {
  const found = await Promise.all(
    kinds().map(async (kind) => (await idsOf(kind, runId)).map((id) => `${kind} ${id}`)),
  );
  return found.flat();
}

/** Removes all of the run that is there now. Rejects when the engine refuses. */
export async function removeAll(runId: string): Promise<void> {
  for (const kind of kinds()) {
    const ids = await idsOf(kind, runId);
    if (ids.length > 0) await docker(...KINDS[kind].remove, ...ids);
  }
}

/** Removes until two looks in a row find nothing: what a killed run had just begun may appear after the first. */
export async function removeUntilNone(runId: string): Promise<void> {
  let emptyLooks = 0;
  for (let look = 0; look < LOOKS_MAX && emptyLooks < 2; look++) {
    const left = await leftovers(runId);
    emptyLooks = left.length === 0 ? emptyLooks + 1 : 0;
    // What refused now is tried again at the next look.
    if (left.length > 0) await removeAll(runId).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }
}

async function idsOf(kind: Kind, runId: string): Promise<readonly string[]> {
  const { list, filters } = KINDS[kind];
  const listed = await Promise.all(filters(runId).map((filter) => docker(...list, "--filter", filter)));
  return [...new Set(listed.flatMap((text) => text.split("\n")).filter((id) => id !== ""))];
}

function kinds(): readonly Kind[] {
  return Object.keys(KINDS) as Kind[];
}
