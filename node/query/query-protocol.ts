// Query protocol: what the agent and its process of queries say to each other.

import type { AppRows, FedEntry, SqlRow, SqlValue } from "./query-tables.ts";

export interface QueryBounds {
  readonly rowsMax: number;
  readonly bytesMax: number;
}

export type QueryParams = readonly SqlValue[] | Readonly<Record<string, SqlValue>>;

export type ToQueryChild =
  | { readonly kind: "entries"; readonly entries: readonly FedEntry[] }
  /** In place of all that were there. */
  | { readonly kind: "members"; readonly members: readonly SqlRow[] }
  | { readonly kind: "apps"; readonly apps: readonly AppRows[] }
  | {
      readonly kind: "query";
      readonly sql: string;
      readonly params: QueryParams;
      readonly bounds: QueryBounds;
    };

export type FromQueryChild =
  /** It has taken over all that was sent before the query, and begins. */
  | { readonly kind: "running" }
  /** Each row is a JSON array. */
  | { readonly kind: "rows"; readonly rows: readonly string[] }
  | {
      readonly kind: "done";
      readonly columns: readonly string[];
      /** Tables that were read, those below views. */
      readonly tables: readonly string[];
      /** There are more rows than were told. */
      readonly truncated: boolean;
    }
  /** `invalid`: the query's fault. `too-large`: it needs more than it may have. */
  | { readonly kind: "failed"; readonly code: "invalid" | "too-large"; readonly message: string };
