// Home: the host that has an app's volumes. It is where its first VM was placed, and all others are.

import type { AppRecord, AppSpec, MemberName } from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";

function volumesOf({ releases }: AppRecord, release: number | null): NonNullable<AppSpec["volumes"]> {
  return releases.find(({ number }) => number === release)?.spec.volumes ?? [];
}

/** A VM of that release was placed there. */
export function withHome(record: AppRecord, release: number, host: MemberName): AppRecord {
  if (record.home !== undefined || volumesOf(record, release).length === 0) return record;
  return { ...record, home: { host, made: [] } };
}

/** That release served: what it has is there, and is made no more. */
export function withVolumesMade(record: AppRecord, release: number): AppRecord {
  const { home } = record;
  const names = volumesOf(record, release).map(({ name }) => name);
  if (home === undefined || names.every((name) => home.made.includes(name))) return record;
  return { ...record, home: { ...home, made: [...new Set([...home.made, ...names])] } };
}

/**
 * Where a new release need not go: what was there was removed with the app, or nothing of it ever served there, and nothing runs. A destroy that
 * went back removed nothing.
 */
export function withoutVainHome(record: AppRecord): AppRecord {
  const { home, ...rest } = record;
  if (home === undefined) return record;
  const isRemoved = record.deleted && home.isRemoved === true;
  const isUnused = home.made.length === 0 && record.vms.length === 0;
  return isRemoved || isUnused ? rest : withDataRemoved(record, false);
}

/** What the destroy that begins does with its data, whatever an earlier one meant to. */
export function withDataRemoved(record: AppRecord, removesData: boolean): AppRecord {
  if (record.home === undefined) return record;
  const { isRemoved: _isRemoved, ...home } = record.home;
  return { ...record, home: removesData ? { ...home, isRemoved: true } : home };
}

/** Why no VM can be started now; null: nothing of the kind. */
export function awayHome({ home }: AppRecord, { hosts }: Facts): string | null {
  if (home === undefined || hosts.get(home.host)?.open === true) return null;
  return `its data is on ${home.host}, which is not connected: a VM of it runs there, or nowhere`;
}

/** Why its VMs do not leave that host; null: they may. */
export function keptHome({ app, home }: AppRecord, host: MemberName): string | null {
  return home?.host === host ? `its data is on ${host}, in volumes/${app} of its state folder` : null;
}
