// Messages between hosts, as they are on the wire: questions, answers and links as bytes, by the real codecs.

import type { VoterId } from "../../register/ballot.ts";
import type { RegistersShown } from "../../register/settle.ts";

export type Message =
  /** `encodeAsk`. */
  | { readonly kind: "ask"; readonly bytes: Uint8Array }
  /** `encodeAnswer`. */
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  /** Which registers do you have, under this list? */
  | { readonly kind: "show"; readonly serial: number; readonly voter: VoterId; readonly list: number }
  | {
      readonly kind: "shown";
      readonly serial: number;
      readonly voter: VoterId;
      readonly reply: RegistersShown;
    }
  /** Which voter lists do you know? */
  | { readonly kind: "fetch" }
  /** `encodeLink`, in order: all of them, or one that is news. */
  | { readonly kind: "links"; readonly links: readonly Uint8Array[]; readonly isFetched: boolean };

/** How a part sends; by the number of the host. */
export type Send = (to: number, message: Message) => void;
