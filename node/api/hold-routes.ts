// Hold routes: a person's word that an app's requests are kept, or go on.

import type { AppName, Hold, HoldSpec } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import type { HoldRequest } from "../deploy/hold-app.ts";
import { apiError, unknownApp } from "./answer.ts";

/** The record of `epoch` says so. Who has it in force the app's view tells. */
export interface HoldView {
  readonly app: AppName;
  readonly held: boolean;
  /** Who has them held; of a release not the person who said it. Null: nobody. */
  readonly by: Hold["by"] | null;
  readonly epoch: number;
  /** False: it was so already. */
  readonly changed: boolean;
  readonly bounds: HoldSpec;
}

export function holder(verb: HoldRequest["verb"]): (deploys: Deploys, app: AppName) => Promise<Response> {
  return async (deploys, app) => {
    const result = await deploys.hold({ app, verb });
    if (result.code === "unknown") return unknownApp(app);
    if (result.code !== "done") return apiError(result.code, result.message);
    const { epoch, changed, by, bounds } = result;
    return Response.json({ app, held: by !== null, by, epoch, changed, bounds } satisfies HoldView);
  };
}
