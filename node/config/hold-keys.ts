// Hold keys: [hold] of an app file: how much each proxy keeps of the app's requests while those are held.

import { type ZodType, z } from "zod";
import { type AppSpec, durationShape, HOLD_DEFAULTS, type HoldSpec, told } from "../../mesh/keys.ts";
import { HOUR_MS, type KeyProblem, notTable, type TimeRange } from "./key-shapes.ts";

/** Shorter than a second no hold is over; few clients wait for an hour. */
const holdAgeRange: TimeRange = { minMs: 1_000, maxMs: HOUR_MS };
/** Of one app: each is a connection of the proxy's. */
const REQUESTS_MAX = 100_000;
const MIB = 1024 * 1024;
const BYTES_MAX = 1024 * MIB;

const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: MIB };
const bytesText =
  'must be a size from 0KiB to 1024MiB with its unit (KiB or MiB), for example max_bytes = "64MiB"';
const requestsText = `must be a whole number from 1 to ${REQUESTS_MAX}, for example max_requests = 10000`;

/** "64MiB" in bytes; undefined: it is none. */
function parseSize(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,7})(KiB|MiB)$/.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit] ?? Number.NaN);
  return bytes <= BYTES_MAX ? bytes : undefined;
}

export const holdShape: ZodType<HoldSpec> = z
  .strictObject(
    {
      max_age: told(
        durationShape({ ...holdAgeRange, example: 'max_age = "30s"' }).default(HOLD_DEFAULTS.maxAgeMs),
        {
          means: "so long a request waits at most, then it gets 503; a change over has half of it",
          raised: "a change over may take longer before requests fail, and clients wait that long",
          lowered: "a hold that takes longer fails requests sooner; a change over gives up after half of it",
        },
      ),
      max_requests: told(
        z
          .int(requestsText)
          .min(1, requestsText)
          .max(REQUESTS_MAX, requestsText)
          .default(HOLD_DEFAULTS.maxRequests),
        {
          means: "so many wait at each proxy",
          raised: "more wait at each proxy, and more arrive at once afterwards",
          lowered: "more get 503 at once",
        },
      ),
      max_bytes: told(
        z
          .string(bytesText)
          .refine((text) => parseSize(text) !== undefined, bytesText)
          .transform((text) => parseSize(text) ?? 0)
          .default(HOLD_DEFAULTS.maxBytes),
        {
          type: "`0KiB` to `1024MiB`",
          unset: '`"64MiB"`',
          means: "of bodies; each counts with what the proxy may have read of it, 64 KiB at most",
          raised: "more memory of each proxy",
          lowered: "requests with bodies get 503 at once sooner",
        },
      ),
    },
    { error: notTable('[hold] and below it max_age = "30s"') },
  )
  .transform(({ max_age, max_requests, max_bytes }) => ({
    maxAgeMs: max_age,
    maxRequests: max_requests,
    maxBytes: max_bytes,
  }));

/** Times in the spec by name, with what each may be. */
export function holdTimes({
  hold,
}: Pick<AppSpec, "hold">): readonly (readonly [string, number, TimeRange])[] {
  return hold === undefined ? [] : [["hold.maxAgeMs", hold.maxAgeMs, holdAgeRange]];
}

/** Of a spec that came another way than through a file, but for its times; null: nothing is wrong. */
export function holdProblem({ hold }: Pick<AppSpec, "hold">): KeyProblem | null {
  if (hold === undefined) return null;
  const { maxRequests, maxBytes } = hold;
  if (maxRequests < 1 || maxRequests > REQUESTS_MAX) {
    return {
      key: "hold.maxRequests",
      message: `hold.maxRequests must be from 1 to ${REQUESTS_MAX}; found ${maxRequests}`,
    };
  }
  if (maxBytes > BYTES_MAX) {
    return { key: "hold.maxBytes", message: `hold.maxBytes must be at most ${BYTES_MAX}; found ${maxBytes}` };
  }
  return null;
}
