// Ask app: what a command says of one app, and the agent's answer to it.

import { type Submitted, submittedShape } from "./answers.ts";
import type { Session } from "./session.ts";

/** `verb`: what follows the app's name in the path, its query with it. */
export function postToApp(
  { client, signal }: Session,
  app: string,
  verb: string,
  json?: object,
): Promise<unknown> {
  const path = `/v1/apps/${encodeURIComponent(app)}/${verb}`;
  return client.json({ method: "POST", path, ...(json === undefined ? {} : { json }) }, signal);
}

/** The answer is a rollout that has begun, or is to. */
export async function submitToApp(
  session: Session,
  app: string,
  verb: string,
  json?: object,
): Promise<Submitted> {
  return submittedShape.parse(await postToApp(session, app, verb, json));
}
