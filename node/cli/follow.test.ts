// A command against two real listeners: what one agent began to answer another goes on with.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeRecord, hostKey, type Mesh } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { createApi } from "../api/api.ts";
import { type ApiListener, listenApi } from "../api/listen.ts";
import { FakeDeploys, fakeAgent, fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import { ApiClient, ApiError, NoAgentError } from "./api-client.ts";
import { followRollout } from "./follow.ts";
import type { Told } from "./narrator.ts";

let folder: string;
let meshes: Mesh[];
let deploys: FakeDeploys;
let voter: ApiListener;
let other: ApiListener;
let client: ApiClient;
const said: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-follow-"));
  said.length = 0;
  const hub = new MemoryHub();
  deploys = new FakeDeploys();
  meshes = ["host-1", "host-2"].map((name) => hub.join({ name, role: "host" }));
  voter = await startAgent(meshes[0] as Mesh, deploys);
  other = await startAgent(meshes[1] as Mesh, null);
  // Only host-2 is known at first: host-1 is learnt from it.
  client = new ApiClient([{ address: other.url, name: null, isVerified: true }]);
});

afterEach(async () => {
  await client.close();
  await Promise.all([voter.close(), other.close()]);
  await Promise.all(meshes.map((mesh) => mesh.stop()));
  rmSync(folder, { recursive: true });
});

async function startAgent(mesh: Mesh, fakeDeploys: FakeDeploys | null): Promise<ApiListener> {
  const { deps } = fakeAgent(mesh, fakeDeploys);
  const api = { host: "127.0.0.1", port: 0 };
  const socketFile = path.join(folder, `${mesh.self.name}.sock`);
  const listener = await listenApi(createApi(deps), { api, socketFile });
  mesh.write(hostKey(mesh.self.name), encodeRecord({ ...deps.self, api: listener.url }));
  mesh.announce();
  return listener;
}

function follow(signal: AbortSignal = new AbortController().signal, lostAfterMs = 30_000) {
  const tell = ({ text }: Told) => {
    said.push(text);
    for (const wake of [...waiters]) wake();
  };
  const teller = { tell, show: () => {} };
  return followRollout(client, { app: "hello", rollout: "hello-v2", teller, signal, lostAfterMs });
}

const waiters = new Set<() => void>();

/** Until a line with `text` was said. */
async function hears(text: string): Promise<void> {
  while (!said.some((line) => line.includes(text))) {
    const woken = Promise.withResolvers<void>();
    waiters.add(woken.resolve);
    await woken.promise;
    waiters.delete(woken.resolve);
  }
}

const running = (outcome: string) =>
  fakeView({
    rollout: fakeRollout({ history: [{ number: 1, kind: "start", vms: [], waitedMs: 1, outcome }] }),
  });
const signal = new AbortController().signal;

describe("followRollout()", () => {
  it("ends with the rollout", async () => {
    deploys.show(running("healthy"));
    const end = follow();
    await hears("healthy");
    deploys.show(fakeView({ rollout: fakeRollout({ state: "succeeded", endedAtMs: 2_000 }) }));
    expect(await end).toMatchObject({ code: "ended", view: { rollout: { state: "succeeded" } } });
  });

  it("goes on through another agent when its own dies", async () => {
    await client.learnAgents(signal);
    deploys.show(running("healthy"));
    const end = follow();
    await hears("healthy");
    await other.close();
    await hears("an agent answers again");
    expect(said.some((line) => line === `the agent at ${other.url} does not answer; asking another`)).toBe(
      true,
    );
    deploys.show(fakeView({ rollout: fakeRollout({ state: "rolled-back", endedAtMs: 2_000 }) }));
    expect(await end).toMatchObject({ code: "ended", view: { rollout: { state: "rolled-back" } } });
    expect(client.current).toBe(voter.url);
  });

  it("detaches when it is told to", async () => {
    deploys.show(running("healthy"));
    const stop = new AbortController();
    const end = follow(stop.signal);
    await hears("healthy");
    stop.abort();
    expect(await end).toEqual({ code: "detached" });
  });

  it("says that another rollout followed", async () => {
    deploys.show(fakeView({ rollout: fakeRollout({ id: "hello-v3" }) }));
    expect(await follow()).toMatchObject({ code: "superseded", view: { rollout: { id: "hello-v3" } } });
  });

  it("gives up when no agent answers any more", async () => {
    deploys.show(running("healthy"));
    const end = follow(undefined, 1);
    await hears("healthy");
    await Promise.all([voter.close(), other.close()]);
    await expect(end).rejects.toThrow("rollout hello-v2 may still go on: look with `grapevine status hello`");
  });

  it("does not wait for an app that never was", async () => {
    await expect(follow()).rejects.toThrow("there is no app hello");
  });
});

describe("ApiClient", () => {
  it("names all that it tried", async () => {
    const lonely = new ApiClient([
      { address: "http://127.0.0.1:1", name: null, isVerified: true },
      { address: path.join(folder, "none.sock"), name: null, isVerified: true },
    ]);
    const asked = lonely.json({ method: "GET", path: "/v1/members" }, signal);
    await expect(asked).rejects.toThrow(NoAgentError);
    await expect(asked).rejects.toThrow(
      `Tried http://127.0.0.1:1 (connection refused), ${path.join(folder, "none.sock")} (no such socket).`,
    );
    await lonely.close();
  });

  it("asks an agent over its socket", async () => {
    const bySocket = new ApiClient([
      { address: path.join(folder, "host-1.sock"), name: null, isVerified: true },
    ]);
    expect(await bySocket.json({ method: "GET", path: "/v1/health" }, signal)).toMatchObject({
      name: "host-1",
    });
    await bySocket.close();
  });

  it("asks nothing of an agent that is not the one it was told of", async () => {
    const misled = new ApiClient([{ address: voter.url, name: "host-9", isVerified: false }]);
    const asked = misled.json({ method: "GET", path: "/v1/members" }, signal);
    await expect(asked).rejects.toThrow("this is not host-9");
    await misled.close();
  });

  it("tells an agent's refusal from an agent's absence", async () => {
    const asked = client.json({ method: "GET", path: "/v1/apps/none" }, signal);
    await expect(asked).rejects.toThrow(ApiError);
    expect(await client.exists(`/v1/bundles/${"0".repeat(64)}`, signal)).toBe(false);
  });
});
