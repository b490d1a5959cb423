// Exclusions: the proxies that an app's rollouts do not ask, by name, in its record.

import { type AppRecord, EXCLUSIONS_MAX, type Exclusion, type MemberName } from "../../../mesh/index.ts";

/** The record itself if all of them are excluded so already, or there is no room for more. */
export function withExcluded(
  record: AppRecord,
  proxies: readonly MemberName[],
  how: Omit<Exclusion, "proxy">,
): AppRecord {
  const { excluded = [] } = record;
  const isHeld = (proxy: MemberName) =>
    excluded.some(
      (held) =>
        held.proxy === proxy &&
        (held.by === "person" || how.by === "silence") &&
        (held.everywhere || !how.everywhere),
    );
  const added = proxies.filter((proxy) => !isHeld(proxy));
  const rest = excluded.filter(({ proxy }) => !added.includes(proxy));
  const next = [...rest, ...added.map((proxy): Exclusion => ({ proxy, ...how }))];
  return added.length === 0 || next.length > EXCLUSIONS_MAX ? record : { ...record, excluded: next };
}

/** The record itself if it is not excluded. */
export function withIncluded(record: AppRecord, proxy: MemberName): AppRecord {
  return withoutThose(record, (held) => held.proxy === proxy);
}

/** What an app decided for one rollout is over with it. */
export function withoutSilence(record: AppRecord): AppRecord {
  return withoutThose(record, ({ by }) => by === "silence");
}

function withoutThose(record: AppRecord, isOver: (held: Exclusion) => boolean): AppRecord {
  const { excluded = [], ...rest } = record;
  const left = excluded.filter((held) => !isOver(held));
  if (left.length === excluded.length) return record;
  return left.length === 0 ? rest : { ...rest, excluded: left };
}

/** Of an app's first record: what was said of the whole cluster holds for it too. */
export function exclusionsEverywhere(records: readonly AppRecord[]): readonly Exclusion[] {
  const all = records.flatMap(({ excluded = [] }) => excluded.filter(({ everywhere }) => everywhere));
  return [...new Map(all.map((held) => [held.proxy, held])).values()].slice(0, EXCLUSIONS_MAX);
}
