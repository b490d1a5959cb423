// Reserve port: a look at a port long before it may be opened.

import net from "node:net";
import type { HostPort } from "../../mesh/index.ts";
import { listenError } from "./listen-error.ts";

/** Finds out at once whether the port can be had, long before it may be opened. Of port 0: finds a free one. */
export async function reservePort(address: HostPort): Promise<HostPort> {
  const server = net.createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(address.port, address.host, resolve);
  try {
    await promise;
  } catch (error) {
    throw listenError(error, address);
  }
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((closed) => {
    server.close(() => closed());
  });
  return { host: address.host, port };
}
