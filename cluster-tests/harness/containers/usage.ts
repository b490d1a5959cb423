// Usage: CPU and memory of a container, from its control group's own files: `docker stats` takes two seconds for a look.

export interface Usage {
  /** Since the container was made or last started, as the kernel counts. */
  readonly cpuSeconds: number;
  /** Without the page cache. */
  readonly residentBytes: number;
}

/** Run inside: the unified hierarchy (version 2), or the older one. */
export const READ_USAGE: readonly string[] = [
  "sh",
  "-c",
  "cd /sys/fs/cgroup && if [ -e cpu.stat ]; then cat cpu.stat memory.stat; else sed 's/^/cpuacct.usage /' cpuacct/cpuacct.usage && cat memory/memory.stat; fi",
];

/** By version: the key of CPU time and how many of it are a second, the key of memory. */
const VERSIONS = [
  { cpu: "usage_usec", perSecond: 1e6, memory: "anon" },
  { cpu: "cpuacct.usage", perSecond: 1e9, memory: "total_rss" },
] as const;

/** Throws on what no kernel says. */
export function parseUsage(text: string): Usage {
  const values = new Map(text.split("\n").map((line) => line.trim().split(" ") as [string, string]));
  for (const { cpu, perSecond, memory } of VERSIONS) {
    const cpuSeconds = Number(values.get(cpu)) / perSecond;
    const residentBytes = Number(values.get(memory));
    if (Number.isFinite(cpuSeconds) && Number.isFinite(residentBytes)) return { cpuSeconds, residentBytes };
  }
  throw new Error(`no CPU time or memory in: ${text}`);
}
