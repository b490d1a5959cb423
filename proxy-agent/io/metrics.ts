// Metrics: counters in the text format of Prometheus.

import type { Refusal as GateRefusal } from "../core/gate.ts";
import type { ExchangeEnd } from "./exchange.ts";
import type { HeldCounts } from "./held-requests.ts";

/** Series of one metric. Each deploy brings new ones: above this, those make room that were counted longest ago. */
const SERIES_MAX = 5_000;

export interface Gauges {
  readonly serial: number;
  readonly inFlight: number;
  readonly draining: number;
  /** VMs of this host that are dialled without their gate, and tries that went there. */
  readonly armedVms: number;
  readonly direct: number;
  readonly held: HeldCounts;
  readonly acksSent: number;
  readonly refusedRecords: number;
  readonly connections: number;
  readonly isServing: boolean;
  readonly isStale: boolean;
  /** Counters of the registers, by name, and of the mesh. */
  readonly registers: Readonly<Record<string, number>>;
  readonly mesh: Readonly<Record<string, number>>;
}

export class Metrics {
  /** In the order in which they were counted last. */
  readonly #requests = new Map<string, number>();
  #retries = 0;
  #cut = 0;
  readonly #refusals: Record<GateRefusal, number> = { shut: 0, behind: 0, ahead: 0, closed: 0 };
  #learnedOfGates = 0;
  #refusedConnections = 0;

  requestEnded({ app, release, status }: ExchangeEnd): void {
    const labels = `app="${app ?? ""}",release="${release === null ? "" : `v${release}`}",class="${statusClass(status)}"`;
    const count = (this.#requests.get(labels) ?? 0) + 1;
    this.#requests.delete(labels);
    this.#requests.set(labels, count);
    if (this.#requests.size <= SERIES_MAX) return;
    for (const oldest of this.#requests.keys()) {
      this.#requests.delete(oldest);
      return;
    }
  }

  retried(): void {
    this.#retries += 1;
  }

  refusedByGate(why: GateRefusal): void {
    this.#refusals[why] += 1;
  }

  learnedOfGate(): void {
    this.#learnedOfGates += 1;
  }

  wereCut(requests: number): void {
    this.#cut += requests;
  }

  connectionRefused(): void {
    this.#refusedConnections += 1;
  }

  text(gauges: Gauges): string {
    const requests = [...this.#requests].map(
      ([labels, count]) => `grapevine_proxy_requests_total{${labels}} ${count}`,
    );
    return [
      "# TYPE grapevine_proxy_requests_total counter",
      ...requests,
      ...metric("grapevine_proxy_retries_total", "counter", this.#retries),
      "# TYPE grapevine_proxy_gate_refusals_total counter",
      ...Object.entries(this.#refusals).map(
        ([why, count]) => `grapevine_proxy_gate_refusals_total{reason="${why}"} ${count}`,
      ),
      ...metric("grapevine_proxy_records_of_gates_total", "counter", this.#learnedOfGates),
      ...metric("grapevine_proxy_requests_cut_total", "counter", this.#cut),
      ...metric("grapevine_proxy_bad_connections_total", "counter", this.#refusedConnections),
      ...metric("grapevine_proxy_acks_sent_total", "counter", gauges.acksSent),
      ...metric("grapevine_proxy_refused_records_total", "counter", gauges.refusedRecords),
      ...metric("grapevine_proxy_in_flight_requests", "gauge", gauges.inFlight),
      ...metric("grapevine_proxy_armed_vms", "gauge", gauges.armedVms),
      ...metric("grapevine_proxy_armed_tries_total", "counter", gauges.direct),
      ...metric("grapevine_proxy_draining_requests", "gauge", gauges.draining),
      ...metric("grapevine_proxy_held_requests", "gauge", gauges.held.waiting),
      ...metric("grapevine_proxy_held_bytes", "gauge", gauges.held.bytes),
      ...metric("grapevine_proxy_held_longest_seconds", "gauge", gauges.held.longestMs / 1000),
      "# TYPE grapevine_proxy_held_requests_total counter",
      ...(["released", "expired", "refused"] as const).map(
        (end) => `grapevine_proxy_held_requests_total{end="${end}"} ${gauges.held[end]}`,
      ),
      ...metric("grapevine_proxy_client_connections", "gauge", gauges.connections),
      ...metric("grapevine_proxy_table_serial", "gauge", gauges.serial),
      ...metric("grapevine_proxy_serving", "gauge", Number(gauges.isServing)),
      ...metric("grapevine_proxy_stale", "gauge", Number(gauges.isStale)),
      ...counters("grapevine_register", gauges.registers),
      ...counters("grapevine_mesh", gauges.mesh),
      ...metric("process_resident_memory_bytes", "gauge", process.memoryUsage.rss()),
      ...metric("process_cpu_seconds_total", "counter", cpuSeconds()),
      "",
    ].join("\n");
  }
}

/** Records that did not count, for whatever reason. */
export function refusedRecords(registers: Gauges["registers"]): number {
  const refused = Object.entries(registers).filter(([name]) => name.startsWith("refused-record-"));
  return refused.reduce((sum, [, count]) => sum + count, 0);
}

function counters(prefix: string, byName: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(byName).flatMap(([name, count]) =>
    metric(`${prefix}_${name.replaceAll("-", "_")}_total`, "counter", count),
  );
}

function metric(name: string, type: "counter" | "gauge", value: number): readonly string[] {
  return [`# TYPE ${name} ${type}`, `${name} ${value}`];
}

/** 499: the client left first. 0: the answer broke off half-way. */
function statusClass(status: number): string {
  if (status === 499) return "client-left";
  return status === 0 ? "broken" : `${Math.floor(status / 100)}xx`;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
