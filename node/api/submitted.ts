// Submitted: how the API answers what was asked of the coordinator.

import type { SubmitResult } from "../deploy/deploys.ts";
import { apiError } from "./answer.ts";

export function submitted(result: SubmitResult): Response {
  switch (result.code) {
    case "accepted": {
      const { code: _code, ...facts } = result;
      return Response.json(facts, { status: 202 });
    }
    case "locked": {
      const { app, rollout, driver, message, env } = result;
      const facts = { rollout, driver, ...(env === undefined ? {} : { env }) };
      return apiError("locked", `${message}; \`grapevine status ${app}\` shows what it waits for`, facts);
    }
    case "unchanged": {
      const { app, note } = result;
      return Response.json({ app, unchanged: true, note });
    }
    case "invalid":
    case "unavailable":
      return apiError(result.code, result.message);
  }
}
