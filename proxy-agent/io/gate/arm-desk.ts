// Arm desk: the gate's end of the links to proxies of its own host. A proxy that attaches gets rights, and from then on the gate
// confirms nothing that the proxy has not answered, unless its process is gone. What an earlier life of this gate granted is not
// known here: who was there before us keeps everything from being confirmed until it attaches again, or is gone.

import { realpath } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import type { Logger } from "pino";
import {
  decodeRecord,
  encodeRecord,
  LocalLink,
  LocalServer,
  messageOf,
  type VmName,
} from "../../../mesh/index.ts";
import {
  type ArmHello,
  type FromArm,
  fromArmShape,
  ownerOfMark,
  type ToArm,
} from "../../core/arm-messages.ts";
import type { ArmId } from "../../core/arms.ts";
import { ARMS_MAX } from "../../limits.ts";
import { networkOf } from "../network.ts";
import { isThere, marksIn, untilGone } from "./arm-mark.ts";
import type { GateState, Grant } from "./gate-state.ts";

export interface ArmDeskOptions {
  readonly cluster: string;
  /** Of the gate; its arms leave their marks there. */
  readonly stateDir: string;
}

export interface ArmDeskDeps {
  readonly state: GateState;
  readonly count: (counter: string) => void;
  readonly logger: Logger;
}

const SOCKET_FILE = "arms.sock";

export class ArmDesk {
  readonly #options: ArmDeskOptions;
  readonly #deps: ArmDeskDeps;
  readonly #server = new LocalServer((socket) => this.#accept(socket));
  readonly #stopping = new AbortController();
  /** Of arms that are attached. */
  readonly #links = new Map<ArmId, LocalLink>();
  /** Arms whose process is watched. */
  readonly #watched = new Set<ArmId>();
  #folder = "";

  constructor(options: ArmDeskOptions, deps: ArmDeskDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Once, before anything is confirmed to anybody. */
  async start(): Promise<void> {
    const { state, logger } = this.#deps;
    this.#folder = await realpath(this.#options.stateDir);
    for (const mark of await marksIn(this.#folder)) {
      const proxy = ownerOfMark(mark);
      if (proxy === null) continue;
      state.arm({ type: "arm-found", arm: mark as ArmId, proxy });
      this.#watch(mark as ArmId);
    }
    try {
      // What is there is of a gate that was killed: our database, opened before, has but one owner.
      await this.#server.listen(path.join(this.#folder, SOCKET_FILE));
    } catch (error) {
      // A path too long for a socket, say: then all go through the gate.
      logger.warn(
        { reason: messageOf(error) },
        "proxies of this host cannot send requests to its VMs themselves",
      );
    }
  }

  grant({ arm, ...grant }: Grant): void {
    this.#tell(arm, { format: 1, kind: "grant", ...grant });
  }

  cut(vms: readonly VmName[]): void {
    for (const arm of this.#links.keys()) this.#tell(arm, { format: 1, kind: "cut", vms });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#server.stop();
  }

  #tell(arm: ArmId, message: ToArm): void {
    this.#links.get(arm)?.send(encodeRecord(message));
  }

  #accept(socket: Socket): void {
    let arm: ArmId | null = null;
    const link = new LocalLink(socket, {
      onMessage: (bytes) => {
        const decoded = decodeRecord(fromArmShape, bytes);
        if (!decoded.ok) link.close(`it says what this release cannot read: ${decoded.error}`);
        else if (decoded.value.kind === "standing") this.#hear(arm, decoded.value);
        else if (arm === null) {
          arm = decoded.value.mark as ArmId;
          void this.#greet(link, socket, decoded.value);
        }
      },
      onEnd: (reason) => {
        if (arm !== null && this.#links.get(arm) === link) this.#lost(arm, reason);
      },
    });
  }

  async #greet(link: LocalLink, socket: Socket, hello: ArmHello): Promise<void> {
    const { state, logger, count } = this.#deps;
    const { proxy, inFlight } = hello;
    const arm = hello.mark as ArmId;
    const refusal = (await isThere(this.#folder, arm)) ? this.#refusalOf(hello) : "its mark is not there";
    // It ended, or we did, while its mark was looked for.
    if (socket.destroyed || this.#stopping.signal.aborted) return;
    if (refusal !== null) {
      logger.error({ proxy, reason: refusal }, "proxy refused as an arm: it goes through the gate");
      link.close(refusal);
      return;
    }
    this.#links.get(arm)?.close("it attached anew");
    this.#links.set(arm, link);
    this.#watch(arm);
    count("arms-attached");
    logger.info({ proxy, arm }, "arm attached");
    state.arm({ type: "arm-attached", arm, proxy, inFlight });
  }

  #refusalOf({ cluster, network, mark, proxy }: ArmHello): string | null {
    if (ownerOfMark(mark) !== proxy) return "its mark is of another proxy";
    if (cluster !== this.#options.cluster) return `it is of the cluster ${cluster}`;
    if (network !== networkOf()) return "its 127.0.0.1 is another one";
    return this.#links.size >= ARMS_MAX ? `${ARMS_MAX} are attached already` : null;
  }

  #hear(arm: ArmId | null, { app, epoch, inFlight }: Extract<FromArm, { kind: "standing" }>): void {
    if (arm !== null && this.#links.has(arm))
      this.#deps.state.arm({ type: "arm-answered", arm, app, epoch, inFlight });
  }

  #lost(arm: ArmId, reason: string): void {
    this.#links.delete(arm);
    if (this.#stopping.signal.aborted) return;
    this.#deps.logger.warn({ arm, reason }, "arm lost: what it was granted counts until its process is gone");
    this.#deps.state.arm({ type: "arm-lost", arm });
  }

  #watch(arm: ArmId): void {
    if (this.#watched.has(arm)) return;
    this.#watched.add(arm);
    const { signal } = this.#stopping;
    void untilGone(this.#folder, arm, signal).then(() => {
      if (signal.aborted) return;
      this.#watched.delete(arm);
      this.#links.get(arm)?.close("its process is gone");
      this.#links.delete(arm);
      this.#deps.count("arms-gone");
      this.#deps.logger.info({ arm }, "arm gone");
      this.#deps.state.arm({ type: "arm-gone", arm });
    });
  }
}
