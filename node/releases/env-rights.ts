// Env rights: which records say that a host has to do with an env. Pure; the records are certified.

import { type CommittedApp, type EnvHash, isUnderWay, type MemberName, placedVms } from "../../mesh/index.ts";

type Apps = readonly Pick<CommittedApp, "record">[];

/** Hosts to which a record gives a VM of a release with this env: they may have it. */
export function hostsOf(hash: EnvHash, apps: Apps): ReadonlySet<MemberName> {
  const hosts = apps.flatMap(({ record }) => {
    const numbers = record.releases.filter(({ spec }) => spec.env?.hash === hash).map(({ number }) => number);
    return placedVms(record)
      .filter(({ release }) => numbers.includes(release))
      .map(({ host }) => host);
  });
  return new Set(hosts);
}

/** Where to look for it: where it was submitted, then where it runs. */
export function holdersOf(hash: EnvHash, apps: Apps): readonly MemberName[] {
  const submitted = apps.flatMap(({ record }) =>
    record.releases.flatMap(({ spec }) => (spec.env?.hash === hash ? [spec.env.host] : [])),
  );
  return [...new Set([...submitted, ...hostsOf(hash, apps)])];
}

/** A deploy to a release with this env runs: somebody may submit the same file again, and be answered that it is the same. */
export function isOnItsWay(hash: EnvHash, apps: Apps): boolean {
  return apps.some(({ record: { rollout, releases } }) => {
    if (rollout === null || !isUnderWay(rollout)) return false;
    const { kind, to, next } = rollout;
    const isMeant = (number: number) => number === next || (kind === "deploy" && number === to);
    return releases.some(({ number, spec }) => isMeant(number) && spec.env?.hash === hash);
  });
}

/** Those that some record names: what nobody may need any more is not among them. */
export function namedEnvs(apps: Apps): ReadonlySet<EnvHash> {
  const refs = apps.flatMap(({ record }) => record.releases.map(({ spec }) => spec.env));
  return new Set(refs.flatMap((ref) => (ref === undefined ? [] : [ref.hash])));
}
