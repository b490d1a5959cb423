// docker/compose.yaml does what its page says: up, the example app is served by both proxies, down, nothing is left.

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type CommandResult, startCommand } from "../../harness/command.ts";
import { composeCommand, docker } from "../../harness/containers/docker.ts";
import { leftovers } from "../../harness/containers/leftovers.ts";
import { ContainerRun } from "../../harness/containers/run.ts";
import { get } from "../../harness/get.ts";
import { until } from "../../harness/observe.ts";

const COMPOSE_FILE = fileURLToPath(new URL("../../../docker/compose.yaml", import.meta.url));
const HOST = "hello.localhost";
const PROXIES = ["proxy-1", "proxy-2"];

const image = inject("image");
const spelling = image === null ? null : await composeCommand();
if (image !== null && spelling === null) {
  const advice = "neither `docker compose` nor `docker-compose` is there";
  if (process.env["CI"] === "true") throw new Error(`the compose test must run in CI: ${advice}`);
  process.stdout.write(`The compose test is skipped: ${advice}.\n`);
}

describe.skipIf(spelling === null)("docker/compose.yaml", () => {
  let run: ContainerRun;
  beforeAll(async () => {
    run = await ContainerRun.start({ image: image ?? "" });
    // All of it was built a moment ago; under a name of its own, since another checkout may use the usual one.
    await compose("build", "init");
  });
  afterAll(() => run?.remove());

  async function compose(...args: readonly string[]): Promise<CommandResult> {
    const [file = "", ...first] = spelling ?? [];
    // Port 0: the engine chooses.
    const env = { GRAPEVINE_IMAGE: run.id, PROXY_1_PORT: "0", PROXY_2_PORT: "0" };
    const all = [...first, "-f", COMPOSE_FILE, "-p", run.id, ...args];
    const ended = await startCommand(file, all, { env, input: "" }).result;
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
    return ended;
  }

  test("up deploys the example app, which both proxies serve; members are healthy and answer", async () => {
    await compose("up", "-d");
    for (const proxy of PROXIES) {
      const { stdout } = await compose("port", proxy, "8080");
      const answer = await until(`${proxy} to serve the app`, async () => {
        const { status, text } = await get(`http://${stdout.trim()}`, HOST);
        return status === 200 ? text : null;
      });
      expect(answer).toBe("hi from hello-v1-1 (v1)\n");
    }
    const status = await compose("exec", "-T", "host-2", "grapevine", "status", "hello");
    expect(status.stdout).toContain("hello-v1-1");
    const unhealthy = [
      "--filter",
      `label=com.docker.compose.project=${run.id}`,
      "--filter",
      "health=unhealthy",
    ];
    expect(await docker("ps", "--quiet", ...unhealthy)).toBe("");
  });

  test("members log JSON on standard output, and no member sees the root key", async () => {
    const { stdout } = await compose("ps", "-q", "proxy-1");
    const logged = await startCommand("docker", ["logs", stdout.trim()], { input: "" }).result;
    expect(logged.stderr).toBe("");
    const lines = logged.stdout.trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { proxy: string }).proxy)).toEqual(
      lines.map(() => "proxy-1"),
    );
    const search =
      "find / -xdev -name root.key 2>/dev/null; find /etc/grapevine /var/lib/grapevine -name root.key";
    const found = await compose("exec", "-T", "host-1", "sh", "-c", search);
    expect(found.stdout).toBe("");
  });

  test("down leaves no container, network or volume", async () => {
    await compose("down", "-v");
    // The run's own network, and the name that was given to the image.
    const kinds = (await leftovers(run.id)).map((left) => left.split(" ")[0]);
    expect(kinds).toEqual(["network", "image"]);
  });
});
