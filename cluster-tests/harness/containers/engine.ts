// Engine: does a Docker engine answer, and do its client and it speak the same version?

import { startDocker } from "./docker.ts";

const TOO_NEW = /Maximum supported API version is ([\d.]+)/;

/**
 * Resolves with null when an engine answers, else with why none does. A client that insists on a newer version than the engine
 * has (it does not negotiate, or DOCKER_API_VERSION is set for another engine) is told the engine's, by our own environment,
 * which all that we start has.
 */
export async function whyNoEngine(): Promise<string | null> {
  const refused = await askVersion();
  const newest = TOO_NEW.exec(refused ?? "")?.[1];
  if (newest === undefined) return refused;
  process.env["DOCKER_API_VERSION"] = newest;
  return askVersion();
}

async function askVersion(): Promise<string | null> {
  try {
    const { code, stderr } = await startDocker(["version", "--format", "{{.Server.Version}}"], { input: "" })
      .result;
    return code === 0 ? null : stderr.trim();
  } catch (error) {
    return `there is no docker command (${String(error)})`;
  }
}
