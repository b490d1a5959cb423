// Hold routes: a person's word that an app's requests are kept, or go on.

import type { AppName, HoldSpec } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import type { HoldRequest } from "../deploy/hold-app.ts";
import { apiError, unknownApp } from "./answer.ts";

/** The record of `epoch` says so. Who has it in force the app's view tells. */
export interface HoldView {
  readonly app: AppName;
  readonly held: boolean;
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
    const { epoch, changed, bounds } = result;
    return Response.json({ app, held: verb === "hold", epoch, changed, bounds } satisfies HoldView);
  };
}
