// Judge machine: Node, the kernel, file limits and ports of one machine, judged from facts alone.

import { DOCTOR_FILES_MIN } from "../../limits.ts";
import { type Finding, failure, fine, warning } from "./finding.ts";
import type { ConnectFacts, PortFacts } from "./gather-ports.ts";
import type { FilesFacts, MachineFacts, RunningFacts } from "./gather-process.ts";
import { describeAddress, type Program, type Target } from "./target.ts";

const NODE_MAJOR_MIN = 24;
/** Of all that may be open, when the next burst would be refused. */
const FILES_SHARE_MAX = 0.8;

export function judgeNode({ nodeVersion, platform, arch }: MachineFacts): Finding {
  const found = `${nodeVersion} on ${platform} ${arch}`;
  if (Number(/^v(\d+)/.exec(nodeVersion)?.[1]) >= NODE_MAJOR_MIN) return fine("node", found);
  return failure("node", {
    found,
    means: `Grapevine runs TypeScript as it is, which takes Node ${NODE_MAJOR_MIN}`,
    next: "npm ci, which installs one beside it",
  });
}

export function judgeKernel(
  { platform, kernel, hasBootId, hasProcessTable, hasShell }: MachineFacts,
  program: Program,
): Finding {
  const lacks = [
    ...(hasBootId ? [] : ["/proc/sys/kernel/random/boot_id"]),
    ...(hasProcessTable ? [] : ["/proc/PID/stat"]),
    ...(hasShell ? [] : ["/bin/sh"]),
  ];
  const found = `${platform} ${kernel ?? "(its release is not told)"}`;
  if (lacks.length === 0) return fine("kernel", `${found}: boot id, process table and shell are there`);
  const trouble = { found: `${found}: without ${lacks.join(", ")}`, next: "run it on Linux, with /proc" };
  if (program !== "agent")
    return warning("kernel", {
      ...trouble,
      means: `nothing that a ${program} needs; an agent would not run here`,
    });
  return failure("kernel", {
    ...trouble,
    means: "an agent knows its VMs again by these, and its process of queries is bounded by a shell",
  });
}

export interface FilesNeed {
  readonly program: Program;
  readonly need: number;
  /** What it is made of. */
  readonly why: string;
}

/** `clients`: connections that a proxy or a gate takes at most; each has another one behind it. */
export function filesNeed(
  program: Program,
  bounds: { readonly peers: number; readonly clients: number; readonly api: number },
): FilesNeed {
  if (program === "agent") {
    const why = `${bounds.peers} peers, ${bounds.api} connections to the API, and room for logs and checks of VMs`;
    return { program, need: roundUp(bounds.peers + bounds.api), why };
  }
  const why = `${bounds.clients} clients with a connection behind each`;
  return { program, need: roundUp(2 * bounds.clients + bounds.peers), why };
}

/** Room for what is not counted, and a number that a person can type. */
function roundUp(count: number): number {
  return Math.ceil((count * 1.2) / 1_024) * 1_024;
}

export function judgeFiles({ of, limit, open }: FilesFacts, { program, need, why }: FilesNeed): Finding {
  const whose = of === "running" ? `of the ${program} that runs` : "of what is started from this shell";
  if (limit === null)
    return warning("files", {
      found: `the file limit ${whose} is not told by /proc`,
      means: `a ${program} may need ${need}: ${why}`,
      next: "ulimit -Hn shows it",
    });
  const count = open === null ? "" : `${open} open of `;
  const found = `${count}${limit} files ${whose}; enough are ${need}: ${why}`;
  const next = `under systemd LimitNOFILE=${need}, in a shell ulimit -n ${need}; then start the ${program} anew`;
  const isFull = open !== null && open > limit * FILES_SHARE_MAX;
  if (isFull || limit < DOCTOR_FILES_MIN) {
    const means = "at the limit connections are refused and files cannot be written";
    return failure("files", { found, means, next });
  }
  if (limit >= need) return fine("files", found);
  return warning("files", { found, means: "under load connections above it are refused", next });
}

export function judgePort(
  { key, address, code, holder }: PortFacts,
  running: RunningFacts | null,
  program: Program,
): Finding {
  const setting = `${key} = "${describeAddress(address)}"`;
  if (address.port === 0) return fine("ports", `${setting}: the system chooses one at the start`);
  if (code === null) {
    if (running === null) return fine("ports", `${setting} is free`);
    return failure("ports", {
      found: `${setting} is free, though the ${program} runs (pid ${running.pid})`,
      means: "it listens elsewhere: its file was changed after its start, or it is another one's file",
      next: `start the ${program} anew`,
    });
  }
  if (code === "EADDRINUSE") return judgeTaken({ setting, holder, running, program, key });
  return failure("ports", { found: `${setting} cannot be opened: ${code}`, ...cureOf(code, program) });
}

interface Taken extends Pick<PortFacts, "holder" | "key"> {
  readonly setting: string;
  readonly running: RunningFacts | null;
  readonly program: Program;
}

function judgeTaken({ setting, holder, running, program, key }: Taken): Finding {
  if (running !== null && holder?.pid === running.pid)
    return fine("ports", `${setting} is held by the ${program} itself (pid ${running.pid})`);
  if (running !== null && holder === null)
    return fine(
      "ports",
      `${setting} is held, as it is while the ${program} runs (pid ${running.pid}); root sees by whom`,
    );
  const who = holder === null ? "somebody else's process" : `pid ${holder.pid}: ${holder.command}`;
  const end = holder === null ? "ss -ltnp, as root, names it" : `end it (kill ${holder.pid})`;
  return failure("ports", {
    found: `${setting} is taken by ${who}`,
    means:
      running === null ? `the ${program} cannot start` : `the ${program} that runs does not listen there`,
    next: `${end}, or write another port: ${key} = "…"`,
  });
}

function cureOf(code: string, program: Program): { readonly means: string; readonly next: string } {
  const means = `the ${program} cannot start`;
  switch (code) {
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return { means: `${means}: this machine has no such address`, next: "ip address shows those it has" };
    case "EACCES":
      return { means: `${means}: this user may not`, next: "write a port from 1024, or start it as root" };
    default:
      return { means, next: "write an address of this machine" };
  }
}

/** Beside an agent, whose proxies are told to come to the gate. */
export function judgeGateBeside(gate: NonNullable<Target["gate"]>, connect: ConnectFacts): Finding {
  const setting = `gate = "${describeAddress(gate)}"`;
  if (connect.ok) return fine("gate", `${setting}: somebody listens there`);
  return warning("gate", {
    found: `${setting}: nobody listens there (${connect.code})`,
    means: "VMs of this host get no requests until its gate runs",
    next: "grapevine gate --config GATE.toml, with the same address in its listen",
  });
}

/** Of a gate, or of a proxy that is its arm: the socket of whom it speaks to. */
export function judgePeerSocket(program: Program, socket: string, connect: ConnectFacts): Finding {
  if (connect.ok) return fine("socket", `${socket}: answered`);
  const who = program === "gate" ? "agent" : "gate";
  return warning("socket", {
    found: `${socket}: no ${who} answers there (${connect.code})`,
    means:
      who === "agent"
        ? "what this gate closes is confirmed to nobody; traffic goes on"
        : "this proxy sends its requests through the gate's listener, if one runs",
    next: `start the ${who} of this host, as a user whose sockets this one may open`,
  });
}
