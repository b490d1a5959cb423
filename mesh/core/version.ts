// Version: (incarnation, start id, counter). A host's versions only grow, at every observer (`single-writer`).

/** Stamped by the owner of a host state on each of its writes. */
export interface Version {
  /** Grows at each start of the owner; on disk before the first publish. Milliseconds since 1970 or more. */
  readonly incarnation: number;
  /** Random, 48 bits: tells apart two histories that a lost disk gave the same incarnation. */
  readonly startId: number;
  /** +1 with each write of one start; the first write has 1. */
  readonly counter: number;
}

/** Below zero: `left` is older. Incarnation first, then start id, then counter. */
export function compareVersions(left: Version, right: Version): number {
  return left.incarnation - right.incarnation || left.startId - right.startId || left.counter - right.counter;
}

/** As people read it in logs and tables: `1764000000000.3fa9.17`. */
export function describeVersion(version: Version): string {
  return `${version.incarnation}.${version.startId.toString(16).slice(-4)}.${version.counter}`;
}

/** One start of an owner: all its writes until the next one carry it. */
export type Start = Pick<Version, "incarnation" | "startId">;

/** Below zero: `left` is the earlier start. */
export function compareStarts(left: Start, right: Start): number {
  return left.incarnation - right.incarnation || left.startId - right.startId;
}
