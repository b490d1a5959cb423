// Net lab: a network of the run's own: each member in a network namespace, all on one bridge in a namespace of its own, so that
// nothing of the machine's network is touched. Packets are dropped where a member's kernel takes or sends them. Needs root.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Direction } from "./member-network.ts";

const NAMES = "/run/netns";
/** Namespaces of a run end with its process id: what a killed run left is known by it. */
const PREFIX = "gv-lab-";
const SWITCH = "switch";
/** Inside namespaces only, which no packet leaves. */
const SUBNET = "10.213.7";
const INTERFACE = "eth0";
/** One subnet. */
const HOSTS_MAX = 200;

/** Of one member's interface, since its beginning. */
export interface Traffic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly sentPackets: number;
}

export class NetLab {
  readonly #names: readonly string[];

  /** Undefined: all is here. Else what is missing, for people. */
  static missing(): string | undefined {
    if (process.platform !== "linux") return "network namespaces are Linux's";
    if (process.getuid?.() !== 0) return "network namespaces need root";
    const tools = ["ip", "iptables"].filter((tool) => !isInstalled(tool));
    return tools.length === 0 ? undefined : `not installed: ${tools.join(", ")}`;
  }

  /** One namespace for each name. Throws what the kernel says; nothing is left then. */
  static create(names: readonly string[]): NetLab {
    if (names.length > HOSTS_MAX) throw new Error(`net lab: at most ${HOSTS_MAX} members`);
    removeLeftovers();
    const lab = new NetLab(names);
    try {
      lab.#build();
      return lab;
    } catch (error) {
      lab.dispose();
      throw error;
    }
  }

  private constructor(names: readonly string[]) {
    this.#names = names;
  }

  address(name: string): string {
    return `${SUBNET}.${this.#indexOf(name) + 1}`;
  }

  /** What a command line begins with to run there. */
  prefix(name: string): readonly string[] {
    return ["ip", "netns", "exec", this.#namespace(name)];
  }

  /** From now on packets of that direction are dropped at this member, and nobody is told. */
  cut(name: string, direction: Direction): void {
    this.#rule(name, ["-A", chainOf(direction), ...inSubnet(direction), "-j", "DROP"]);
  }

  /** All that passes between any of `left` and any of `right`, both ways. */
  part(left: readonly string[], right: readonly string[]): void {
    for (const one of left)
      for (const other of right) {
        this.#rule(one, ["-A", "INPUT", "-s", this.address(other), "-j", "DROP"]);
        this.#rule(other, ["-A", "INPUT", "-s", this.address(one), "-j", "DROP"]);
      }
  }

  /** A share (0 to 1) of the packets between two is lost, each way. */
  lose(one: string, other: string, share: number): void {
    const statistic = ["-m", "statistic", "--mode", "random", "--probability", String(share)];
    this.#rule(one, ["-A", "INPUT", "-s", this.address(other), ...statistic, "-j", "DROP"]);
    this.#rule(other, ["-A", "INPUT", "-s", this.address(one), ...statistic, "-j", "DROP"]);
  }

  /** Nothing is dropped there any more. */
  heal(names: readonly string[] = this.#names): void {
    for (const name of names) this.#rule(name, ["-F"]);
  }

  /** `pid`: any process that runs there. */
  static traffic(pid: number): Traffic {
    const line = readFileSync(`/proc/${pid}/net/dev`, "utf8")
      .split("\n")
      .find((row) => row.trimStart().startsWith(`${INTERFACE}:`));
    const fields = line?.split(":")[1]?.trim().split(/\s+/).map(Number) ?? [];
    const [receivedBytes = 0, receivedPackets = 0] = fields;
    return { receivedBytes, receivedPackets, sentBytes: fields[8] ?? 0, sentPackets: fields[9] ?? 0 };
  }

  /** Processes in it should have ended. */
  dispose(): void {
    for (const name of [SWITCH, ...this.#names]) removeNamespace(this.#namespace(name));
  }

  #build(): void {
    const hub = this.#namespace(SWITCH);
    ip("netns", "add", hub);
    inside(hub, `link add br0 type bridge\nlink set br0 up\n`);
    for (const [index, name] of this.#names.entries()) {
      const own = this.#namespace(name);
      ip("netns", "add", own);
      inside(hub, `link add port${index} type veth peer name ${INTERFACE} netns ${own}\n`);
      inside(hub, `link set port${index} master br0\nlink set port${index} up\n`);
      const address = `${this.address(name)}/24`;
      inside(own, `link set lo up\naddr add ${address} dev ${INTERFACE}\nlink set ${INTERFACE} up\n`);
    }
  }

  #rule(name: string, args: readonly string[]): void {
    const [command = "", ...rest] = [...this.prefix(name), "iptables", "-w", ...args];
    execFileSync(command, rest, { stdio: ["ignore", "ignore", "pipe"] });
  }

  #namespace(name: string): string {
    return `${PREFIX}${name}-${process.pid}`;
  }

  #indexOf(name: string): number {
    const index = this.#names.indexOf(name);
    if (index < 0) throw new Error(`net lab: no ${name}`);
    return index;
  }
}

/** The member's own loopback goes on. */
function inSubnet(direction: Direction): readonly string[] {
  return [direction === "in" ? "-i" : "-o", INTERFACE];
}

function chainOf(direction: Direction): string {
  return direction === "in" ? "INPUT" : "OUTPUT";
}

function ip(...args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Commands of `ip`, a line each. */
function inside(namespace: string, lines: string): void {
  execFileSync("ip", ["-netns", namespace, "-batch", "-"], {
    input: lines,
    stdio: ["pipe", "ignore", "pipe"],
  });
}

function removeNamespace(namespace: string): void {
  if (existsSync(`${NAMES}/${namespace}`)) ip("netns", "delete", namespace);
}

/** Of runs whose process is gone. */
function removeLeftovers(): void {
  const all = existsSync(NAMES) ? readdirSync(NAMES).filter((name) => name.startsWith(PREFIX)) : [];
  for (const namespace of all) {
    const pid = Number(namespace.split("-").at(-1));
    if (!existsSync(`/proc/${pid}`)) removeNamespace(namespace);
  }
}

function isInstalled(tool: string): boolean {
  const folders = (process.env["PATH"] ?? "").split(":");
  return folders.some((folder) => existsSync(`${folder}/${tool}`));
}
