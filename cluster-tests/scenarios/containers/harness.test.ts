// What the container tests rest on: a run leaves nothing, however it ends, and client and engine need not be of one version.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, inject, test, vi } from "vitest";
import { startCommand } from "../../harness/command.ts";
import { docker } from "../../harness/containers/docker.ts";
import { whyNoEngine } from "../../harness/containers/engine.ts";
import { leftovers } from "../../harness/containers/leftovers.ts";
import { until } from "../../harness/observe.ts";

const START_ENGINE = fileURLToPath(new URL("../../../docker/start-engine", import.meta.url));
const VICTIM = fileURLToPath(new URL("../../harness/containers/victim.ts", import.meta.url));

const image = inject("image");

describe.skipIf(image === null)("the harness for containers", () => {
  afterEach(() => vi.unstubAllEnvs());

  test("a run whose process is killed leaves no container, network, volume or folder", async () => {
    const victim = startCommand(process.execPath, [VICTIM, image ?? ""]);
    const { id, folder } = JSON.parse(await victim.waitFor(/\n/)) as { id: string; folder: string };
    const kinds = (await leftovers(id)).map((left) => left.split(" ")[0]);
    expect(kinds.sort()).toEqual(["container", "network"]);

    victim.process.kill("SIGKILL");
    await until("all of the run to be gone", async () => ((await leftovers(id)).length === 0 ? true : null));
    await until("its folder to be gone", () => (existsSync(folder) ? null : true));
  });

  test("a client that was told to speak a newer version than the engine is told the engine's", async () => {
    vi.stubEnv("DOCKER_API_VERSION", "9.99");
    await expect(docker("ps")).rejects.toThrow("too new");
    expect(await whyNoEngine()).toBeNull();
    await expect(docker("ps", "--quiet")).resolves.toBeTypeOf("string");
  });

  test("docker/start-engine starts nothing beside an engine that answers", async () => {
    const { code, stdout, stderr } = await startCommand(START_ENGINE, [], { input: "" }).result;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain("an engine answers already");
  });
});
