// dev: a local cluster of real agents, gates and proxies that stays until Ctrl-C.

import { once } from "node:events";
import { messageOf } from "../../../mesh/words.ts";
import { DevCluster, type DevClusterView, type DevOptions, refuseDevOptions } from "./dev-cluster.ts";
import { endOfSession } from "./end-of-session.ts";

/** Resolves with the exit code. */
export async function runDev(options: DevOptions & { readonly json: boolean }): Promise<number> {
  const refused = refuseDevOptions(options);
  if (refused !== null) return complain(refused, options);
  const ended = endOfSession();
  let cluster: DevCluster;
  try {
    cluster = await DevCluster.start({ ...options, isFindable: true }, ended);
  } catch (error) {
    if (ended.aborted) return 0;
    return complain(messageOf(error), options);
  }
  process.stdout.write(options.json ? `${JSON.stringify(cluster.view())}\n` : describe(cluster));
  if (!ended.aborted) await once(ended, "abort");
  if (!options.json) process.stdout.write("\nstopping: proxies, gates, agents, VMs …\n");
  await cluster.stop();
  return 0;
}

function complain(message: string, { json }: { readonly json: boolean }): number {
  process.stderr.write(`grapevine dev: ${message}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ error: { code: "invalid", message }, exitCode: 2 })}\n`);
  return 2;
}

function describe(cluster: DevCluster): string {
  const view: DevClusterView = cluster.view();
  const agents = view.agents.map(
    (agent) => `  ${agent.name.padEnd(10)} api  ${agent.api}   pid ${agent.pid}`,
  );
  const gates = view.gates.map((gate) => `  ${gate.name.padEnd(10)} of ${gate.host}   pid ${gate.pid}`);
  const proxies = view.proxies.map(
    (proxy) => `  ${proxy.name.padEnd(10)} http ${proxy.http}   admin ${proxy.admin}   pid ${proxy.pid}`,
  );
  const client = view.proxies[0];
  return [
    "A cluster runs here until Ctrl-C:",
    ...agents,
    ...gates,
    ...proxies,
    `  state and logs in ${cluster.stateDir}`,
    "",
    "In another terminal:",
    "  npx grapevine deploy docs/examples/hello/app.toml",
    ...(client === undefined ? [] : [`  curl -H 'Host: hello.localhost' ${client.http}/`]),
    "  npx grapevine status hello",
    "",
  ].join("\n");
}
