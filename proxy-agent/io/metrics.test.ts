import { expect, test } from "vitest";
import { appName } from "../../mesh/index.ts";
import { type Gauges, Metrics } from "./metrics.ts";

const gauges: Gauges = {
  serial: 1,
  inFlight: 0,
  draining: 0,
  armedVms: 0,
  direct: 0,
  held: { waiting: 0, bytes: 0, released: 0, expired: 0, refused: 0, longestMs: 0 },
  acksSent: 0,
  refusedRecords: 0,
  connections: 0,
  isServing: true,
  isStale: false,
  registers: {},
  mesh: {},
};

test("the newest release is counted however many there were, and old ones make room for it", () => {
  const metrics = new Metrics();
  const ended = (app: string, release: number) =>
    metrics.requestEnded({ app: appName(app), release, status: 200 });
  for (let release = 1; release <= 20_000; release += 1) {
    ended("busy", 1);
    ended("hello", release);
  }
  const series = metrics
    .text(gauges)
    .split("\n")
    .filter((line) => line.startsWith("grapevine_proxy_requests_total"));
  expect(series.length).toBeLessThanOrEqual(5_000);
  expect(series).toContain('grapevine_proxy_requests_total{app="hello",release="v20000",class="2xx"} 1');
  expect(series).toContain('grapevine_proxy_requests_total{app="busy",release="v1",class="2xx"} 20000');
});

test("what gates refuse is counted by their reason, and each reason is there from the start", () => {
  const metrics = new Metrics();
  metrics.refusedByGate("ahead");
  metrics.refusedByGate("ahead");
  const series = metrics.text(gauges).split("\n");
  const refusals = series.filter((line) => line.startsWith("grapevine_proxy_gate_refusals_total"));
  expect(refusals).toEqual(
    ["shut", "behind", "ahead", "closed"].map(
      (why) => `grapevine_proxy_gate_refusals_total{reason="${why}"} ${why === "ahead" ? 2 : 0}`,
    ),
  );
});
