// Volume keys: [[volumes]] of an app file: directories that outlive its VMs, and pin the app to the host that has them.

import { type ZodType, z } from "zod";
import type { VolumeSpec } from "../../mesh/index.ts";
import { told, VOLUME_NAME, VOLUMES_MAX } from "../../mesh/keys.ts";
import { type KeyProblem, notTable } from "./key-shapes.ts";

const PATH = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;
const PATH_CHARS_MAX = 200;

const nameText =
  'must be lower-case letters, digits and inner hyphens, at most 32, for example name = "data"';
const pathText = 'must be a path below the app\'s folder, without "." and "..", for example path = "data"';
const listText = `must be at most ${VOLUMES_MAX} tables, for example [[volumes]] and below it name = "data"`;

const isBelow = (path: string) => path.split("/").every((part) => part !== "." && part !== "..");
const pathShape = z
  .string(pathText)
  .max(PATH_CHARS_MAX, pathText)
  .regex(PATH, pathText)
  .refine(isBelow, pathText);

const volumeShape: ZodType<VolumeSpec> = z.strictObject(
  {
    name: told(z.string(nameText).regex(VOLUME_NAME, nameText), {
      type: "name",
      means: "The same name in a later release is the same data.",
    }),
    path: told(pathShape, {
      type: "path",
      means:
        "Below the app's folder: a link to the directory. The same path is in `GRAPEVINE_VOLUME_NAME` of its environment.",
    }),
  },
  { error: notTable('[[volumes]] and below it name = "data" and path = "data"') },
);

export const volumesShape: ZodType<readonly VolumeSpec[]> = told(
  z.array(volumeShape, listText).max(VOLUMES_MAX, listText).default([]),
  {
    type: `at most ${VOLUMES_MAX} tables`,
    unset: "none",
    means:
      "Directories that outlive its VMs. They are on one host, where the app runs from then on; it is exclusive. See [`[[volumes]]`](#volumes).",
  },
);

/** Null: nothing is wrong. */
export function volumesProblem(volumes: readonly VolumeSpec[] = []): KeyProblem | null {
  const issue = z.array(volumeShape).max(VOLUMES_MAX, listText).safeParse(volumes).error?.issues[0];
  if (issue !== undefined) return { key: "volumes", message: issue.message };
  for (const key of ["name", "path"] as const) {
    const values = volumes.map((volume) => volume[key]);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined)
      return { key: "volumes", message: `has ${key} "${twice}" twice: each volume needs its own` };
  }
  const paths = volumes.map(({ path }) => path);
  for (const path of paths) {
    const outer = paths.find((other) => path.startsWith(`${other}/`));
    if (outer !== undefined)
      return {
        key: "volumes",
        message: `has path "${path}", which is inside of "${outer}", another volume: give it a path beside that`,
      };
  }
  return null;
}
