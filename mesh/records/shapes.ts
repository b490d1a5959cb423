// Shapes: the small pieces that several records share, as validators.

import { type ZodType, z } from "zod";
import {
  type AppName,
  appName,
  type BundleHash,
  bundleHash,
  type EnvHash,
  envHash,
  isBundleHash,
  isEnvHash,
  isName,
  type MemberName,
  memberName,
  type OwnerId,
  ownerId,
  type VmName,
  vmName,
} from "../core/ids.ts";
import type { Start, Version } from "../core/version.ts";

const name = z.string().refine(isName, "not a name");

export const appNameShape: ZodType<AppName> = name.transform(appName) as unknown as ZodType<AppName>;
export const memberNameShape: ZodType<MemberName> = name.transform(
  memberName,
) as unknown as ZodType<MemberName>;
export const vmNameShape: ZodType<VmName> = name.transform(vmName) as unknown as ZodType<VmName>;
/** A peer id in base58 has 52 characters. */
export const ownerIdShape: ZodType<OwnerId> = z
  .string()
  .regex(/^[!-~]{1,64}$/)
  .transform(ownerId) as unknown as ZodType<OwnerId>;
export const bundleHashShape: ZodType<BundleHash> = z
  .string()
  .refine(isBundleHash, "not a bundle hash")
  .transform(bundleHash) as unknown as ZodType<BundleHash>;
export const envHashShape: ZodType<EnvHash> = z
  .string()
  .refine(isEnvHash, "not an env hash")
  .transform(envHash) as unknown as ZodType<EnvHash>;

/** A duration, in milliseconds. */
export const millisecondsShape: ZodType<number> = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** A counter, an epoch or a release number. */
export const countShape: ZodType<number> = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const portShape: ZodType<number> = z.number().int().min(1).max(65_535);

export const startShape: ZodType<Start> = z.strictObject({ incarnation: countShape, startId: countShape });
export const versionShape: ZodType<Version> = z.strictObject({
  incarnation: countShape,
  startId: countShape,
  counter: countShape,
});
