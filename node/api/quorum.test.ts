// Whether a majority answers is found by a read, at a voter, whichever agent is asked.

import { afterEach, beforeEach, expect, it } from "vitest";
import type { Register } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { createApi } from "./api.ts";
import { ApiHarness, errorOf } from "./testing/api-harness.ts";

let harness: ApiHarness;
beforeEach(() => {
  harness = new ApiHarness(new MemoryHub());
});
afterEach(() => harness.stop());

/** The voter's API, whose register reads so. */
function voterReading(readAll: Register["readAll"]): ReturnType<typeof createApi> {
  const { deps } = harness.voter;
  const register = { readAll, known: () => [] } as unknown as Register;
  return createApi({ ...deps, voting: { ...deps.voting, register } });
}

it("GET /v1/quorum says who read and how long it took, or who is missing", async () => {
  const answer = await voterReading(async () => undefined).request("/v1/quorum");
  expect(await answer.json()).toEqual({ by: "host-1", tookMs: expect.any(Number), apps: 0 });
  const lost = voterReading(() =>
    Promise.reject(new Error("no majority of the voters answers: host-2 missing")),
  );
  expect(await errorOf(lost.request("/v1/quorum"))).toBe(
    "503 unavailable: no majority of the voters answers: host-2 missing",
  );
});
