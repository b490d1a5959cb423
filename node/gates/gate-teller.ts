// Gate teller: tells every voter what the gate of this host confirms: at once when that changed, whole when a voter connects or
// becomes one, and again and again, since a voter may have restarted and a message may be lost.

import {
  connectedVoters,
  encodeRecord,
  GATE_STANDINGS_MAX,
  GATE_TOPIC,
  type GateMessage,
  type GateStanding,
  type Mesh,
  type OwnerId,
  type Registers,
} from "../../mesh/index.ts";

/** As proxies repeat what they acknowledge. */
const REPEAT_MS = 2_000;

export interface GateTellerDeps {
  readonly mesh: Mesh;
  readonly directory: Pick<Registers["directory"], "list" | "onAdopted">;
  /** All that the gate confirms. */
  readonly standings: () => readonly GateStanding[];
}

export class GateTeller {
  readonly #deps: GateTellerDeps;
  #voters: ReadonlySet<OwnerId> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #ends: readonly (() => void)[] = [];

  constructor(deps: GateTellerDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { mesh, directory, standings } = this.#deps;
    const look = () => this.#lookForVoters();
    this.#ends = [mesh.onMembers(look), directory.onAdopted(look)];
    look();
    this.#timer = setInterval(() => this.#tell(standings(), this.#voters), REPEAT_MS);
  }

  changed(standings: readonly GateStanding[]): void {
    this.#tell(standings, this.#voters);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const end of this.#ends) end();
  }

  #tell(standings: readonly GateStanding[], voters: ReadonlySet<OwnerId>): void {
    const { mesh } = this.#deps;
    for (let at = 0; at < standings.length; at += GATE_STANDINGS_MAX) {
      const some = standings.slice(at, at + GATE_STANDINGS_MAX);
      const message: GateMessage = { format: 1, host: mesh.self.name, standings: some };
      const bytes = encodeRecord(message);
      for (const voter of voters) mesh.tell(voter, GATE_TOPIC, bytes);
    }
  }

  /** Ourselves too, if we are one. */
  #lookForVoters(): void {
    const { mesh, directory, standings } = this.#deps;
    const before = this.#voters;
    this.#voters = new Set(connectedVoters(mesh, directory).map(({ owner }) => owner));
    const joined = new Set([...this.#voters].filter((owner) => !before.has(owner)));
    if (joined.size > 0) this.#tell(standings(), joined);
  }
}
