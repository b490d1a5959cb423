// Raw floor: the writer sends each event over plain TCP to all others. A process without libp2p: what the machine itself costs.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { FrameCutter, frame } from "../../../../mesh/io/frames.ts";
import { FRAME_BYTES_MAX } from "../../../../mesh/limits.ts";
import { FloorBooks } from "./floor-books.ts";
import { runMember } from "./member-shell.ts";

await runMember(async ({ name, address }, clock) => {
  const books = new FloorBooks(name, clock);
  const inbound = new Set<Socket>();
  const outbound: Socket[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    inbound.add(socket);
    const cutter = new FrameCutter(FRAME_BYTES_MAX);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      for (const bytes of cutter.push(chunk)) books.arrived(Buffer.from(bytes).toString("latin1"));
    });
  });
  server.listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    contact: `${address}:${port}`,
    handlers: {
      meet: async ({ peers, writes }) => {
        for (const { contact } of writes ? peers : []) {
          const [host = "", to = ""] = contact.split(":");
          const socket = connect({ host, port: Number(to), noDelay: true });
          await once(socket, "connect");
          socket.on("error", () => undefined);
          outbound.push(socket);
        }
        return {};
      },
      run: (command) =>
        books.run(command, (event) => {
          const atMs = clock.nowMs();
          const bytes = frame(Buffer.from(event, "latin1"));
          for (const socket of outbound) socket.write(bytes);
          return atMs;
        }),
      gather: (command) => books.gather(command),
    },
    stop: async () => {
      for (const socket of [...outbound, ...inbound]) socket.destroy();
      server.close();
    },
  };
});
