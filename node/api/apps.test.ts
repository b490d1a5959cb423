import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memberName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import type { PlanView } from "../deploy/plan-view.ts";
import type { RolloutStory } from "../deploy/story-view.ts";
import { createApi } from "./api.ts";
import { type Api, ApiHarness, errorOf, get, nextLine } from "./testing/api-harness.ts";
import { FAKE_ENV, fakeRollout, fakeSealedSpec, fakeSpec, fakeView, hashOf } from "./testing/fake-agent.ts";

let { voterMesh, otherMesh, voter, voterApi, otherApi, deploys } = {} as ApiHarness;
let harness: ApiHarness;
let hub: MemoryHub;

beforeEach(() => {
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  ({ voterMesh, otherMesh, voter, voterApi, otherApi, deploys } = harness);
});
afterEach(async () => {
  await harness.stop();
});

function post(api: Api, address: string, body: unknown): Promise<Response> {
  return Promise.resolve(api.request(address, { method: "POST", body: JSON.stringify(body) }));
}

describe("apps", () => {
  it("are answered by any agent, through the voter", async () => {
    deploys.show(fakeView());
    expect((await get(voterApi, "/v1/apps/hello")).json).toEqual(fakeView());
    expect((await get(otherApi, "/v1/apps/hello")).json).toEqual(fakeView());
    expect((await get(otherApi, "/v1/apps")).json).toEqual([fakeView()]);
  });

  it("have their rollouts told by name, by app, and the last of all, by way of any agent", async () => {
    const { app } = fakeView();
    const story = (rollout: string) => ({ rollout }) as unknown as RolloutStory;
    const rollouts = [story("hello-v1"), story("hello-v2")];
    deploys.told.set(app, { app, answeredBy: memberName("host-1"), rollouts });
    deploys.show(fakeView({ rollout: fakeRollout() }));
    expect((await get(otherApi, "/v1/rollouts/hello-v1")).json).toEqual({ rollout: "hello-v1" });
    expect((await get(voterApi, "/v1/rollouts/hello")).json).toEqual({ rollout: "hello-v2" });
    expect((await get(voterApi, "/v1/rollouts")).json).toEqual({ rollout: "hello-v2" });
    expect((await get(otherApi, "/v1/apps/hello/rollouts")).json).toMatchObject({
      answeredBy: "host-1",
      rollouts,
    });
    expect(await errorOf(voterApi.request("/v1/rollouts/hello-v9"))).toBe(
      "404 not-found: there is no app, and no rollout that is kept, of the name hello-v9; `grapevine history hello` lists those that are kept",
    );
    expect(await errorOf(voterApi.request("/v1/apps/nothing/rollouts"))).toContain("404 not-found");
  });

  it("that never were are 404, also through a relay", async () => {
    const expected = "404 not-found: there is no app hello; `grapevine status` lists those there are";
    expect(await errorOf(voterApi.request("/v1/apps/hello"))).toBe(expected);
    expect(await errorOf(otherApi.request("/v1/apps/hello"))).toBe(expected);
    expect(await errorOf(otherApi.request("/v1/apps/hello/watch"))).toBe(expected);
    const answer = await errorOf(voterApi.request("/v1/apps/Not_a_name"));
    expect(answer).toMatch(/^400 invalid: "Not_a_name" cannot name an app: .*`grapevine status` lists/);
  });

  it("name the voters that are missing", async () => {
    hub.disconnect(voterMesh, otherMesh);
    expect(await errorOf(otherApi.request("/v1/apps"))).toBe(
      "503 unavailable: no voter can be reached: host-1",
    );
  });

  it("are never relayed twice", async () => {
    const bindings = { isRelayed: true };
    expect(await errorOf(otherApi.request("/v1/apps", {}, bindings))).toBe(
      "503 unavailable: host-2 is no voter",
    );
  });

  it.each(["voter", "relay"])(
    "are watched line by line until the reader goes, by way of the %s",
    async (way) => {
      deploys.show(fakeView());
      const response = await (way === "voter" ? voterApi : otherApi).request("/v1/apps/hello/watch");
      expect(response.headers.get("content-type")).toContain("application/x-ndjson");
      const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
      expect(await nextLine(reader)).toMatchObject({ epoch: 1 });
      const second = nextLine(reader);
      deploys.show(fakeView({ epoch: 2, rollout: fakeRollout() }));
      expect(await second).toMatchObject({ epoch: 2, rollout: { state: "running" } });
      expect(deploys.watchers).toBe(1);
      await reader.cancel();
      await new Promise((resolve) => setImmediate(resolve));
      expect(deploys.watchers).toBe(0);
    },
  );
});

describe("what a person asks of an app", () => {
  it("is a split of its requests, in whole percents by release, by any agent", async () => {
    deploys.answer = { ...deploys.answer, step: 4 } as typeof deploys.answer;
    const response = await post(otherApi, "/v1/apps/hello/traffic", { weights: { v1: 90, v2: 10 } });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ app: "hello", rollout: "hello-v2", step: 4 });
    const weights = [
      { release: 1, weight: 90 },
      { release: 2, weight: 10 },
    ];
    expect(deploys.asked).toEqual([{ app: "hello", weights }]);
  });

  it.each([{}, { weights: { v0: 100 } }, { weights: { hello: 100 } }, { weights: { v1: 12.5 } }, "v1=100"])(
    "is refused when it is no split: %j",
    async (body) => {
      expect(await errorOf(post(voterApi, "/v1/apps/hello/traffic", body))).toBe(
        '400 invalid: the body must be whole percents by release, {"weights": {"v1": 90, "v2": 10}}',
      );
      expect(deploys.asked).toEqual([]);
    },
  );

  it("scale and restart, through any agent, and say where there is nothing to do", async () => {
    expect((await post(otherApi, "/v1/apps/hello/scale", { count: 3 })).status).toBe(202);
    expect(deploys.asked.at(-1)).toEqual({ app: "hello", count: 3 });
    expect((await post(otherApi, "/v1/apps/hello/restart", {})).status).toBe(202);
    expect(await errorOf(post(voterApi, "/v1/apps/hello/scale", { count: "3" }))).toBe(
      '400 invalid: the body must be a count of VMs, {"count": 3}',
    );
    deploys.answer = { code: "unchanged", app: fakeView().app, note: "v1 serves with 3 VMs already" };
    const unchanged = await post(voterApi, "/v1/apps/hello/scale", { count: 3 });
    expect(unchanged.status).toBe(200);
    expect(await unchanged.json()).toEqual({
      app: "hello",
      unchanged: true,
      note: "v1 serves with 3 VMs already",
    });
  });

  it("is a way back, to the release before or to one that is named", async () => {
    expect((await post(otherApi, "/v1/apps/hello/rollback?to=v7", {})).status).toBe(202);
    expect((await post(voterApi, "/v1/apps/hello/rollback", {})).status).toBe(202);
    expect(deploys.asked).toEqual([
      { app: "hello", to: 7 },
      { app: "hello", to: null },
    ]);
    expect(await errorOf(post(voterApi, "/v1/apps/hello/rollback?to=seven", {}))).toBe(
      '400 invalid: "to" must name a release, for example v7; found seven',
    );
  });

  it("is that its deploy stands still, and goes on", async () => {
    for (const verb of ["pause", "resume"])
      expect((await post(otherApi, `/v1/apps/hello/${verb}`, {})).status).toBe(202);
  });
});

function many(chars: number, count: number): readonly string[] {
  return Array.from({ length: count }, () => "x".repeat(chars));
}

describe("deploys", () => {
  const bundle = new TextEncoder().encode("a bundle");

  it("are submitted with a bundle that is here", async () => {
    voter.bundles.held.set(hashOf(bundle), bundle);
    const response = await post(voterApi, "/v1/apps/hello/deploys", fakeSpec(bundle));
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ app: "hello", rollout: "hello-v2", release: 2, joined: false });
    expect(deploys.submitted).toEqual([fakeSealedSpec(bundle)]);
  });

  it("pass on a hash in place of the env, whoever commits them, and never say a value of it", async () => {
    voter.bundles.held.set(hashOf(bundle), bundle);
    const spec = fakeSpec(bundle, { env: { PASSWORD: "hunter2" } });
    const response = await post(otherApi, "/v1/apps/hello/deploys", spec);
    expect(response.status).toBe(202);
    expect(harness.other.envs.sealed).toEqual([{ PASSWORD: "hunter2" }]);
    expect(voter.envs.sealed).toEqual([]);
    expect(deploys.submitted).toEqual([fakeSealedSpec(bundle)]);
    const bad = { ...spec, env: { PASSWORD: "hunter2", "A B": "hunter2", C: ["hunter2"] } };
    expect(await errorOf(post(otherApi, "/v1/apps/hello/deploys", bad))).not.toContain("hunter2");
  });

  it.each([true, false, null])(
    "of a file that is on its way join it if who holds its env says that it is the same: %s",
    async (same) => {
      voter.bundles.held.set(hashOf(bundle), bundle);
      const onItsWay = { ...FAKE_ENV, host: memberName("host-9") };
      const { app } = fakeView();
      const driver = memberName("host-1");
      deploys.answerTo = ({ env }) =>
        env?.host === "host-9"
          ? { code: "accepted", app, rollout: "hello-v1", release: 1, joined: true }
          : { code: "locked", app, rollout: "hello-v1", driver, message: "hello-v1 runs", env: onItsWay };
      harness.other.envs.same = same;
      const response = await post(otherApi, "/v1/apps/hello/deploys", fakeSpec(bundle));
      expect(response.status).toBe(same === true ? 202 : 409);
      if (same === true) expect(await response.json()).toMatchObject({ rollout: "hello-v1", joined: true });
    },
  );

  it("are told the name of their submission, through any agent, and refuse what is none", async () => {
    voter.bundles.held.set(hashOf(bundle), bundle);
    const path = "/v1/apps/hello/deploys?submission=0123456789abcdef";
    for (const api of [voterApi, otherApi]) await post(api, path, fakeSpec(bundle));
    expect(deploys.submissions).toEqual(["0123456789abcdef", "0123456789abcdef"]);
    const refused = post(voterApi, "/v1/apps/hello/deploys?submission=a", fakeSpec(bundle));
    expect(await errorOf(refused)).toContain("submission must be 16 to 64 letters");
  });

  it("take the place of what runs if they say so, through any agent, and refuse another word", async () => {
    voter.bundles.held.set(hashOf(bundle), bundle);
    const said: (boolean | undefined)[] = [];
    deploys.answerTo = (_spec, { supersedes }) => {
      said.push(supersedes);
      return deploys.answer;
    };
    const path = "/v1/apps/hello/deploys";
    for (const query of ["", "?on-conflict=fail", "?on-conflict=supersede"])
      await post(otherApi, `${path}${query}`, fakeSpec(bundle));
    expect(said).toEqual([false, false, true]);
    expect(await errorOf(post(voterApi, `${path}?on-conflict=wait`, fakeSpec(bundle)))).toBe(
      "400 invalid: on-conflict must be fail or supersede; found wait",
    );
  });

  it("fetch a bundle that another agent took, and reach the voter through any agent", async () => {
    const fetched: string[] = [];
    const api = createApi({
      ...voter.deps,
      fetchBundle: async (hash) => {
        fetched.push(hash);
        return { ok: true, value: null };
      },
    });
    const viaRelay = await post(otherApi, "/v1/apps/hello/deploys", fakeSpec(bundle));
    expect(viaRelay.status).toBe(202);
    expect((await post(api, "/v1/apps/hello/deploys", fakeSpec(bundle))).status).toBe(202);
    expect(fetched).toEqual([hashOf(bundle), hashOf(bundle)]);
  });

  it("say when nobody has the bundle", async () => {
    expect(await errorOf(post(voterApi, "/v1/apps/hello/deploys", fakeSpec(bundle)))).toContain(
      "503 unavailable: the bundle is not to be had: no member has",
    );
    expect(deploys.submitted).toEqual([]);
  });

  it.each([
    [{ code: "invalid", message: "hostname taken" }, "400 invalid: hostname taken"],
    [{ code: "unavailable", message: "missing host-1" }, "503 unavailable: missing host-1"],
    [
      {
        code: "locked",
        message: "hello-v1 runs",
        rollout: "hello-v1",
        driver: memberName("host-1"),
        app: fakeView().app,
      },
      "409 locked: hello-v1 runs; `grapevine status hello` shows what it waits for",
    ],
  ] as const)("answer %o with its status", async (answer, expected) => {
    voter.bundles.held.set(hashOf(bundle), bundle);
    deploys.answer = answer;
    expect(await errorOf(post(voterApi, "/v1/apps/hello/deploys", fakeSpec(bundle)))).toBe(expected);
    expect(await errorOf(otherApi.request("/v1/apps/hello", { method: "DELETE" }))).toBe(expected);
    expect(await errorOf(otherApi.request("/v1/vms/hello-v1-1/stop", { method: "POST" }))).toBe(expected);
  });

  it.each([
    ["no JSON", "{", "the body must be an app's spec in JSON"],
    ["nothing", "", "the body must be an app's spec in JSON"],
    ["another name", fakeSpec(bundle, { name: "other" }), "the spec is of other, the address of hello"],
    ["an unknown key", { ...fakeSpec(bundle), extra: 1 }, "the spec is not valid"],
    [
      "a bad hash",
      { ...fakeSpec(bundle), bundle: { hash: "../x", bytes: 1 } },
      "the spec is not valid: bundle.hash",
    ],
    [
      "a hostname that is none",
      fakeSpec(bundle, { hostnames: ["a b"] }),
      "hostnames must be a lower-case DNS name",
    ],
    ["a variable of ours", fakeSpec(bundle, { env: { PORT: "1" } }), "env must be another name"],
    ["a NUL", fakeSpec(bundle, { command: ["a\0"] }), "command must be"],
    [
      "a time that no timer takes",
      fakeSpec(bundle, {
        checks: [{ type: "tcp", path: "/", intervalMs: 2 ** 31, timeoutMs: 100, gracePeriodMs: 0 }],
      }),
      "checks.intervalMs must be from 50 to 3600000; found 2147483648",
    ],
    [
      "no time to wait",
      fakeSpec(bundle, {
        deploy: { strategy: "rolling", drainTimeoutMs: 30_000, waitTimeoutMs: 0 },
      }),
      "deploy.waitTimeoutMs must be from 1000 to 86400000; found 0",
    ],
    ["too many settings", fakeSpec(bundle, { command: many(4_096, 2) }), "bytes of settings"],
    [
      "too much env",
      fakeSpec(bundle, { env: Object.fromEntries(many(8_192, 4).map((text, at) => [`K${at}`, text])) }),
      "bytes of env",
    ],
  ])("refuse a spec with %s", async (_name, body, expected) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = voterApi.request("/v1/apps/hello/deploys", { method: "POST", body: text });
    expect(await errorOf(response)).toContain(
      `400 invalid: ${expected}`.replace("400 invalid: bytes", "bytes"),
    );
    expect(deploys.submitted).toEqual([]);
  });

  it.each(["voter", "relay"])(
    "are planned without a bundle, and nothing is kept, by way of the %s",
    async (way) => {
      const plan = { app: "hello", rollout: "hello-v2", steps: [] } as unknown as PlanView;
      deploys.planAnswer = { code: "planned", plan };
      const response = await post(
        way === "voter" ? voterApi : otherApi,
        "/v1/apps/hello/plan",
        fakeSpec(bundle),
      );
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual(plan);
      expect(deploys.planned).toMatchObject([{ name: "hello", env: { hash: "0".repeat(64) } }]);
      expect(JSON.stringify(deploys.planned)).not.toContain("GREETING");
      expect([...voter.envs.sealed, ...harness.other.envs.sealed, ...deploys.submitted]).toEqual([]);
    },
  );

  it.each(["voter", "relay"])("refuse a body over the bound, by way of the %s", async (way) => {
    const api = way === "voter" ? voterApi : otherApi;
    expect(await errorOf(post(api, "/v1/apps/hello/deploys", "x".repeat(270_000)))).toBe(
      "413 too-large: the body has at most 262144 bytes",
    );
  });
});
