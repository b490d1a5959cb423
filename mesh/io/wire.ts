// Wire: the libp2p node, the links to the members that are connected to it, and calls to them.

import type { Logger } from "pino";
import type { OwnerId } from "../core/ids.ts";
import type { HelloMessage } from "../core/message.ts";
import { Calls } from "./calls.ts";
import { dial } from "./dial.ts";
import { createNode, type MeshNode, type NodeOptions } from "./libp2p.ts";
import { type LinkEvents, Links } from "./links.ts";
import type { DialOutcome } from "./peers.ts";

export interface WireOptions extends NodeOptions {
  readonly cluster: string;
  readonly self: OwnerId;
  readonly hello: () => HelloMessage;
}

export interface WireDeps {
  readonly events: Omit<LinkEvents, "count">;
  readonly count: (counter: string) => void;
  readonly logger: Logger;
}

export class Wire {
  readonly node: MeshNode;
  readonly links: Links;
  readonly calls: Calls;
  readonly #deps: WireDeps;

  private constructor(node: MeshNode, { cluster, self, hello }: WireOptions, deps: WireDeps) {
    const { logger, count, events } = deps;
    this.node = node;
    this.#deps = deps;
    this.links = new Links({ cluster, hello }, { node, logger, events: { ...events, count } });
    const connectionTo: Links["connectionTo"] = (target) => this.links.connectionTo(target);
    this.calls = new Calls({ cluster, self }, { node, connectionTo, count });
  }

  /** Nobody reaches it before `start`: register what peers will ask for. */
  static async create(options: WireOptions, deps: WireDeps): Promise<Wire> {
    return new Wire(await createNode(options), options, deps);
  }

  async start(): Promise<void> {
    await this.links.start();
    await this.calls.start();
    await this.node.start();
  }

  dial(addresses: readonly string[], owner: OwnerId | undefined): Promise<DialOutcome> {
    const { node, links } = this;
    return dial({ ...this.#deps, node, links }, addresses, owner);
  }

  async stop(): Promise<void> {
    this.calls.stop();
    this.links.stop();
    await this.node.stop();
  }
}
