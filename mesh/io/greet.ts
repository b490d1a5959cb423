// Greet: who answers at an address, without becoming a member: its key, and what it says in its hello, which every member sends on
// a new connection before it hears ours. We say nothing and close, so nobody takes note of us but in a line at `debug`.

import type { Libp2p } from "@libp2p/interface";
import { decodeMessage } from "../core/codec.ts";
import { type OwnerId, ownerId } from "../core/ids.ts";
import type { HelloMessage } from "../core/message.ts";
import { fail, messageOf, ok, type Result } from "../result.ts";
import { FrameSource } from "./frames.ts";
import { HELLO_BYTES_MAX, HELLO_PROTOCOL } from "./hello.ts";

export interface Greeting extends Pick<HelloMessage, "cluster" | "name" | "role"> {
  readonly owner: OwnerId;
}

/** Of each multiaddr, in their order, all at once. Never rejects: on abort those that have not answered say so. */
export async function greet(
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<readonly Result<Greeting>[]> {
  if (addresses.length === 0) return [];
  const node = await createStranger();
  await node.start();
  try {
    return await Promise.all(addresses.map((address) => greetOne(node, address, signal)));
  } finally {
    await node.stop();
  }
}

/** Speaks what members speak and listens nowhere. Loaded here: most commands need none of libp2p. */
async function createStranger(): Promise<Libp2p> {
  const [{ createLibp2p }, { tcp }, { noise }, { meshYamux }] = await Promise.all([
    import("libp2p"),
    import("@libp2p/tcp"),
    import("@libp2p/noise"),
    import("./yamux.ts"),
  ]);
  return createLibp2p({
    start: false,
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [meshYamux],
    connectionMonitor: { enabled: false },
  });
}

async function greetOne(node: Libp2p, address: string, signal: AbortSignal): Promise<Result<Greeting>> {
  const { multiaddr } = await import("@multiformats/multiaddr");
  let source: FrameSource | undefined;
  try {
    const connection = await node.dial(multiaddr(address), { signal });
    const stream = await connection.newStream(HELLO_PROTOCOL, { signal });
    source = new FrameSource(stream, HELLO_BYTES_MAX);
    const bytes = await source.next(signal);
    const said = bytes === undefined ? fail("it ended the connection") : decodeMessage(bytes);
    if (!said.ok) return said;
    if (said.value.kind !== "hello") return fail(`it says ${said.value.kind} in place of hello`);
    const { cluster, name, role } = said.value;
    return ok({ owner: ownerId(connection.remotePeer.toString()), cluster, name, role });
  } catch (error) {
    return fail(signal.aborted ? "it did not say who it is in time" : messageOf(error));
  } finally {
    source?.close();
  }
}
