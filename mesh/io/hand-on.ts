// Hand on: passes an accepted gossip message to our neighbours in gossipsub's mesh, when it is its time: gossipsub has it wait for us.

import { type GossipsubMessage, TopicValidatorResult } from "@chainsafe/libp2p-gossipsub";
import type { MeshNode } from "./libp2p.ts";
import { Timeouts } from "./timeouts.ts";

/** The router has it, its published type does not. */
interface Router {
  reportMessageValidationResult(id: string, source: string, result: TopicValidatorResult): void;
}

export class HandOn {
  readonly #router: Router;
  readonly #timers = new Timeouts();

  constructor({ services }: MeshNode) {
    const router = services.pubsub as Partial<Router>;
    if (router.reportMessageValidationResult === undefined) throw new Error("bug: not the router we know");
    this.#router = router as Router;
  }

  /** Not to who sent it, nor to who sends it meanwhile. */
  after(delayMs: number, { msgId, propagationSource }: GossipsubMessage): void {
    this.#timers.after(delayMs, () => {
      const source = propagationSource.toString();
      this.#router.reportMessageValidationResult(msgId, source, TopicValidatorResult.Accept);
    });
  }

  stop(): void {
    this.#timers.clear();
  }
}
