// Bundle parts: what a bug report is made of, as a list: each a file, where it comes from, and what is removed from it.

import { redacted } from "../../introspection/redact.ts";

/** A file of the report. */
export interface BundlePart {
  readonly file: string;
  /** GET of the agent that is asked. */
  readonly path: string;
  /** The text as it is kept; throws on what cannot be read. */
  readonly keep: (text: string) => string;
}

export interface BundleMember {
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

const CLUSTER_PARTS: readonly BundlePart[] = [
  { file: "members.json", path: "/v1/members", keep: keepJson },
  { file: "sync.json", path: "/v1/sync", keep: keepJson },
  { file: "apps.json", path: "/v1/apps", keep: keepJson },
  { file: "vms.json", path: "/v1/vms", keep: keepJson },
  { file: "routes.json", path: "/v1/routes", keep: keepJson },
  // The agent has removed what may be secret.
  { file: "entries.ndjson", path: "/v1/debug/entries", keep: keepText },
];

const MEMBER_PARTS = [
  { part: "about", file: "about.json", keep: keepJson },
  { part: "metrics", file: "metrics.txt", keep: keepText },
  { part: "log", file: "log.ndjson", keep: keepText },
] as const;

/** Those of the cluster first, then of each member that has not left. */
export function bundleParts(members: readonly BundleMember[]): readonly BundlePart[] {
  const present = members.filter(({ state }) => state !== "left");
  return [
    ...CLUSTER_PARTS,
    ...present.flatMap(({ name }) =>
      MEMBER_PARTS.map(({ part, file, keep }) => {
        return { file: `members/${name}/${file}`, path: `/v1/debug/members/${name}/${part}`, keep };
      }),
    ),
  ];
}

function keepText(text: string): string {
  return text;
}

/** For people to read, and without what may be secret. */
function keepJson(text: string): string {
  return `${JSON.stringify(redacted(JSON.parse(text)), null, 1)}\n`;
}
