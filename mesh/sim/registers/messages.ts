// Messages between hosts. Links are bytes, by the real codec; questions and answers too in some runs: that takes a third of the time.

import type { VoterId } from "../../register/ballot.ts";
import {
  type AnswerMessage,
  type AskMessage,
  decodeAnswer,
  decodeAsk,
  encodeAnswer,
  encodeAsk,
} from "../../register/register-codec.ts";
import type { RegistersShown } from "../../register/settle.ts";

export type Message =
  | { readonly kind: "ask"; readonly ask: AskMessage }
  | { readonly kind: "answer"; readonly answer: AnswerMessage }
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

/** The same, as it arrives. */
export function throughCodec(message: Message): Message {
  if (message.kind === "ask") {
    const ask = decodeAsk(encodeAsk(message.ask));
    if (!ask.ok) throw new Error(`bug: a question that cannot be read: ${ask.error}`);
    return { kind: "ask", ask: ask.value };
  }
  if (message.kind === "answer") {
    const answer = decodeAnswer(encodeAnswer(message.answer));
    if (!answer.ok) throw new Error(`bug: an answer that cannot be read: ${answer.error}`);
    return { kind: "answer", answer: answer.value };
  }
  return message;
}
