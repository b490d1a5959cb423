// What the overlay's messages are on the wire, in bytes.

import type { OverlayRpc } from "./overlay.ts";

/** Around a gossiped message: topic, length, protobuf, Yamux and Noise (gossipsub's StrictNoSign: no author, no signature). */
const MESSAGE_HEAD_BYTES = 110;
/** As io/libp2p.ts cuts them, and the protobuf head. */
const MESSAGE_ID_BYTES = 22;
/** Topic and heads of a control message. */
const CONTROL_BYTES = 90;

export function rpcBytes(rpc: OverlayRpc<unknown>): number {
  switch (rpc.kind) {
    case "message":
      return MESSAGE_HEAD_BYTES + rpc.message.bytes;
    case "ihave":
    case "iwant":
      return CONTROL_BYTES + MESSAGE_ID_BYTES * rpc.ids.length;
    default:
      return CONTROL_BYTES;
  }
}
