// Submit faults: what of a request could not be driven to its end, told before anything is committed.

import {
  APP_VMS_MAX,
  type AppName,
  type AppRecord,
  type AppSpec,
  claimedHostnames,
  encodeAppRecord,
  HOME_VOLUMES_MAX,
  isName,
  previewHostname,
  RELEASES_MAX,
} from "../../../mesh/index.ts";
import { type CommitContext, RECORD_BYTES_MAX, runningOf } from "./commits.ts";
import { registeredProxies } from "./facts.ts";
import type { DeployRequest } from "./submit.ts";

/** Room for the release number and the VM's number in `APP-vNUMBER-INDEX`. */
export function nameFault(app: AppName, number: number): string | null {
  if (isName(`${app}-v${number}-999`)) return null;
  return `app name "${app}" leaves no room for the names of its VMs (${app}-v${number}-1): use at most 36 characters`;
}

export function hostnameFault({ app, spec, apps }: DeployRequest): string | null {
  for (const { record } of apps) {
    if (record.app === app || record.deleted) continue;
    const held = claimedHostnames(record);
    const taken = namesOf(spec).find((hostname) => held.includes(hostname));
    if (taken === undefined) continue;
    return `hostname ${taken} belongs to app ${record.app}: choose another, or destroy ${record.app} first`;
  }
  return null;
}

/** Its hostnames, and those under which its VMs on standby are reached. */
function namesOf({ hostnames, deploy }: AppSpec): readonly string[] {
  return deploy.strategy === "bluegreen" ? [...hostnames, ...hostnames.map(previewHostname)] : hostnames;
}

/** Old, new and surge at once must fit. */
export function countFault(record: AppRecord, spec: AppSpec): string | null {
  const sum = record.vms.length + spec.count + 1;
  if (sum <= APP_VMS_MAX) return null;
  return `${sum} VMs would run during this deploy, an app may have ${APP_VMS_MAX}: lower count`;
}

/** A record holds so many releases: one that drops out has its VMs stopped, whoever still sends requests there. */
export function releasesFault(record: AppRecord): string | null {
  const { from = null, to = null } = runningOf(record) ?? {};
  const needed = new Set([record.current, from, to, ...record.vms.map(({ release }) => release)]);
  needed.delete(null);
  if (needed.size < RELEASES_MAX) return null;
  const [left] = record.vms.filter(
    ({ phase, release }) => phase === "cordoned" && release !== record.current,
  );
  return `VMs of ${needed.size} releases run, a record holds ${RELEASES_MAX} with the new one: "grapevine status ${record.app}" says who keeps ${left?.vm ?? "them"}; wait for it, or exclude it`;
}

/** What was made is remembered, so that it is not made anew where it is lost: at most so much of it. */
export function volumesFault(record: AppRecord, spec: AppSpec): string | null {
  const { app, home, releases } = record;
  const running = runningOf(record);
  const made = home === undefined || home.isRemoved === true ? [] : home.made;
  const onItsWay = releases.find(({ number }) => number === running?.to);
  const wanted = [...(onItsWay?.spec.volumes ?? []), ...(spec.volumes ?? [])].map(({ name }) => name);
  const all = new Set([...made, ...wanted]);
  if (all.size <= HOME_VOLUMES_MAX) return null;
  return `${app} would have ${all.size} volumes over all its releases, a host keeps ${HOME_VOLUMES_MAX} of an app: use names that it has (${made.join(", ")}), or "grapevine destroy ${app} --remove-data" first`;
}

/** A VM in the record: its name, host, phase and version as msgpack, rounded up. */
const VM_BYTES = 192;
/** One name of a VM, in the list of those that a flip brings in. */
const NAME_BYTES = 50;
/** One step with its report, without who answered it, and a reason with its last lines. */
const ROLLOUT_BYTES = 14 * 1024;

/** What the rollout will add must fit too: a record that outgrows its bound half-way could not be driven on. */
export function sizeFault(record: AppRecord, { facts }: CommitContext): string | null {
  const rest = { ...record, vms: [], rollout: null };
  const counts = [...record.releases.map((release) => release.spec.count), record.rollout?.count ?? 0];
  const vms = record.vms.length + Math.max(0, ...counts) + 1;
  // Twice in the record: in the ack set of the step, and in what the last commit knew.
  const proxies = registeredProxies(facts).reduce((sum, proxy) => sum + 2 * (proxy.length + 1), 0);
  const need = encodeAppRecord(rest).length + vms * (VM_BYTES + NAME_BYTES) + proxies + ROLLOUT_BYTES;
  if (need <= RECORD_BYTES_MAX) return null;
  return `the app's record would need ${need} bytes of at most ${RECORD_BYTES_MAX}: make command shorter, or count smaller`;
}
