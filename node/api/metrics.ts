// Metrics: this process and what it sees of the mesh, in Prometheus' text format.

import { performance } from "node:perf_hooks";
import type { Mesh } from "../../mesh/index.ts";
import { type Metric, metricLines } from "../prometheus.ts";
import { factsOf } from "./views.ts";

/** `more`: lines that are in the format already. */
export function metricsText(mesh: Mesh, more: string): string {
  const lines = [...processMetrics(), ...meshMetrics(mesh)].flatMap(metricLines);
  return `${lines.join("\n")}\n${more === "" || more.endsWith("\n") ? more : `${more}\n`}`;
}

function processMetrics(): readonly Metric[] {
  const { user, system } = process.cpuUsage();
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    type: "gauge",
    help,
    samples: [["", value]],
  });
  return [
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "CPU time spent, user and system.",
      samples: [["", (user + system) / 1e6]],
    },
    gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
    gauge("process_start_time_seconds", "Start, since 1970.", performance.timeOrigin / 1e3),
    gauge(
      "nodejs_eventloop_utilization_ratio",
      "Share of time that the event loop was busy, since the start.",
      performance.eventLoopUtilization().utilization,
    ),
  ];
}

function meshMetrics(mesh: Mesh): readonly Metric[] {
  const members = mesh.members();
  const count = (role: string, state: string) =>
    members.filter((member) => member.role === role && member.liveness.state === state).length;
  const samples = ["host", "proxy"].flatMap((role) =>
    ["alive", "suspect", "dead", "left"].map(
      (state) => [`{role="${role}",state="${state}"}`, count(role, state)] as const,
    ),
  );
  const hosts = members.filter(({ role }) => role === "host");
  const said = hosts.flatMap((member) => factsOf(mesh, member) ?? []);
  const cordoned = said.filter((host) => host.cordoned).length;
  const draining = said.filter((host) => host.draining).length;
  return [
    { name: "grapevine_members", type: "gauge", help: "Members known, as this agent sees them.", samples },
    {
      name: "grapevine_hosts_cordoned",
      type: "gauge",
      help: "Hosts on which nothing new is placed, as they say themselves.",
      samples: [["", cordoned]],
    },
    {
      name: "grapevine_hosts_draining",
      type: "gauge",
      help: "Hosts whose VMs are moved to others, as they say themselves.",
      samples: [["", draining]],
    },
    {
      name: "grapevine_entries",
      type: "gauge",
      help: "Live entries held, of all owners.",
      samples: [["", mesh.store.list("").length]],
    },
  ];
}
