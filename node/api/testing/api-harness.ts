// API harness: two agents in one memory mesh for the tests of the API: host-1 is the voter and drives, host-2 does not.

import type { Hono } from "hono";
import type { MemberRole, Mesh } from "../../../mesh/index.ts";
import { createApi } from "../api.ts";
import type { ApiEnv } from "../ports.ts";
import { type FakeAgent, FakeDeploys, fakeAgent } from "./fake-agent.ts";

export type Api = Hono<ApiEnv>;

/** Of a `MemoryHub`, which only tests may import. */
interface Hub {
  join(options: { readonly name: string; readonly role: MemberRole }): Mesh;
}

export class ApiHarness {
  readonly deploys: FakeDeploys = new FakeDeploys();
  readonly voterMesh: Mesh;
  readonly otherMesh: Mesh;
  readonly voter: FakeAgent;
  readonly other: FakeAgent;
  readonly voterApi: Api;
  readonly otherApi: Api;

  constructor(hub: Hub) {
    this.voterMesh = hub.join({ name: "host-1", role: "host" });
    this.otherMesh = hub.join({ name: "host-2", role: "host" });
    this.voter = fakeAgent(this.voterMesh, this.deploys);
    this.other = fakeAgent(this.otherMesh, null);
    this.voterApi = createApi(this.voter.deps);
    this.otherApi = createApi(this.other.deps);
    this.voterMesh.announce();
    this.otherMesh.announce();
  }

  async stop(): Promise<void> {
    await Promise.all([this.voter.queries.stop(), this.other.queries.stop()]);
    await this.voterMesh.stop();
    await this.otherMesh.stop();
  }
}

export async function get(api: Api, address: string): Promise<{ status: number; json: unknown }> {
  const response = await api.request(address);
  return { status: response.status, json: await response.json() };
}

/** "404 not-found: there is no app hello". */
export async function errorOf(response: Response | Promise<Response>): Promise<string> {
  const answer = await response;
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  return `${answer.status} ${error.code}: ${error.message}`;
}

/** The next line with something on it. */
export async function nextLine(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<unknown> {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return "end";
    const text = new TextDecoder().decode(value).trim();
    if (text !== "") return JSON.parse(text);
  }
}
