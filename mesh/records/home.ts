// Home: the host that has an app's volumes: directories that outlive its VMs and its releases. Who has one of that name is claimed with the
// hostnames (`names.ts`).

import { type ZodType, z } from "zod";
import type { MemberName } from "../core/ids.ts";
import { memberNameShape } from "./shapes.ts";

/** A directory that is on one host, and is the app's. */
export interface VolumeSpec {
  readonly name: string;
  /** Below the app's folder: a link to the directory is put there. */
  readonly path: string;
}

export const VOLUMES_MAX = 8;
/** Of all releases of an app together: what was made once is remembered. */
export const HOME_VOLUMES_MAX: number = 4 * VOLUMES_MAX;
export const VOLUME_NAME: RegExp = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

export interface Home {
  readonly host: MemberName;
  /** Volumes that were made there: one of them that is missing is lost, and not made anew. */
  readonly made: readonly string[];
  /** The app was destroyed with its data: the host removes that. */
  readonly isRemoved?: true;
}

export const volumesShape: ZodType<readonly VolumeSpec[]> = z
  .array(z.strictObject({ name: z.string().regex(VOLUME_NAME), path: z.string().max(255) }))
  .max(VOLUMES_MAX);

export const homeShape: ZodType<Home> = z.strictObject({
  host: memberNameShape,
  made: z.array(z.string().regex(VOLUME_NAME)).max(HOME_VOLUMES_MAX),
  isRemoved: z.exactOptional(z.literal(true)),
});
