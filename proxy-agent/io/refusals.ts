// Refusals: how a request that reached no VM is told so.

import { describeDuration, type HoldSpec } from "../../mesh/index.ts";
import type { Overflow } from "../core/hold.ts";
import type { AppRoute } from "../core/route-table.ts";
import { SHOWN_HOST_CHARS_MAX } from "../limits.ts";
import type { Refusal } from "./exchange.ts";

/** Of the tries of a request that all failed. */
export interface Failed {
  readonly tries: number;
  /** Why the last one failed, for people; null: nothing was tried. */
  readonly lastReason: string | null;
  readonly lastStatus: 502 | 503 | 504;
}

/** A hold takes a second or so where all goes well. */
const HELD_RETRY_AFTER_S = 1;

export function refusalOfUnknown(hostname: string): Refusal {
  const shown = hostname.replace(/[^\x21-\x7e]/g, "?").slice(0, SHOWN_HOST_CHARS_MAX);
  return { status: 404, reason: `no app has the hostname "${shown}"` };
}

/** Its names were freed while somebody waited for it: a first launch that failed, or a `destroy`. */
export function refusalOfGivenUp({ app }: AppRoute): Refusal {
  const reason = `${app} was given up while this request waited`;
  return { status: 503, reason, retryAfterSeconds: HELD_RETRY_AFTER_S };
}

export function refusalOfEmpty({ app }: AppRoute): Refusal {
  return { status: 503, reason: `${app} has no VM that serves`, retryAfterSeconds: 1 };
}

export function refusalOfFailed({ app }: AppRoute, { lastReason, lastStatus, tries }: Failed): Refusal {
  if (lastReason === null) {
    return { status: 503, reason: `the address of ${app} is not known yet`, retryAfterSeconds: 1 };
  }
  const count = tries === 1 ? "1 try" : `${tries} tries`;
  return { status: lastStatus, reason: `no endpoint of ${app} could be reached in ${count}: ${lastReason}` };
}

export function refusalOfOverflow({ app, hold: { bounds } }: AppRoute, over: Overflow): Refusal {
  const reason = `requests of ${app} are held, and ${OVERFLOW_TEXTS[over](bounds)}`;
  return { status: 503, reason, retryAfterSeconds: HELD_RETRY_AFTER_S };
}

const OVERFLOW_TEXTS: Readonly<Record<Overflow, (bounds: HoldSpec) => string>> = {
  requests: ({ maxRequests }) => `${maxRequests} wait here already ([hold] max_requests)`,
  bytes: ({ maxBytes }) =>
    `with this body more than ${maxBytes} bytes of them would wait here ([hold] max_bytes)`,
};

export function refusalOfExpired({ app, hold: { bounds } }: AppRoute): Refusal {
  const reason = `requests of ${app} are held, and this one has waited for ${describeDuration(bounds.maxAgeMs)}`;
  return { status: 503, reason, retryAfterSeconds: HELD_RETRY_AFTER_S };
}
