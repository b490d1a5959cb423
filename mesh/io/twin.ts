// Twin: what is said of another process that runs with our key.

import { decodeMember, MEMBER_KEY } from "../core/member.ts";
import type { Entry } from "../mesh.ts";

/** Fields and text of a log line; `entries` are what the twin wrote. */
export function describeTwin(isYounger: boolean, entries: readonly Entry[]): readonly [object, string] {
  const value = entries.find((entry) => entry.key === MEMBER_KEY)?.value ?? undefined;
  const record = value === undefined ? undefined : decodeMember(value);
  const fields = record?.ok === true ? record.value : {};
  const found = "another process runs with our key (a copied state folder?)";
  const done = isYounger
    ? "this one is the younger: it has left the mesh and publishes nothing; stop it and give it a state folder of its own"
    : "it is the younger, and leaves as soon as it knows of us: stop it";
  return [fields, `${found}; ${done}`];
}
