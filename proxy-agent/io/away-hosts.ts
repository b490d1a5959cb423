// Away hosts: whose endpoints are asked last: hosts that are dead, and those that left longer ago than an agent's restart takes,
// since VMs outlive their agent. Told anew whenever that changes.

import type { MemberName, MemberView, Mesh } from "../../mesh/index.ts";
import { LEFT_ROUTED_MS } from "../limits.ts";

export class AwayHosts {
  readonly #mesh: Mesh;
  readonly #tell: (hosts: ReadonlySet<MemberName>) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(mesh: Mesh, tell: (hosts: ReadonlySet<MemberName>) => void) {
    this.#mesh = mesh;
    this.#tell = tell;
  }

  /** After each change of a member. */
  look(): void {
    clearTimeout(this.#timer);
    const hosts = this.#mesh.members().filter(({ role }) => role === "host");
    const waits = hosts.map(leftForMs).filter((forMs) => forMs < LEFT_ROUTED_MS);
    if (waits.length > 0) this.#timer = setTimeout(() => this.look(), LEFT_ROUTED_MS - Math.max(...waits));
    this.#tell(new Set(hosts.filter(isAway).map(({ name }) => name)));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function isAway(host: MemberView): boolean {
  const { state } = host.liveness;
  return state === "dead" || (state === "left" && leftForMs(host) >= LEFT_ROUTED_MS);
}

/** Infinity: it did not leave. */
function leftForMs({ liveness }: MemberView): number {
  return liveness.state === "left" ? Math.max(0, Date.now() - liveness.sinceMs) : Number.POSITIVE_INFINITY;
}
