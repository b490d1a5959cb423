import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePort } from "../testing/cluster.ts";
import { AwayGates } from "./away-gates.ts";

test("however many wait for a gate, one dial finds that it is back", async () => {
  const address = { host: "127.0.0.1", port: await freePort() };
  const gates = new AwayGates();
  const waiting = Array.from({ length: 100 }, () =>
    gates.untilAny([{ address }], AbortSignal.timeout(60_000)),
  );
  let dials = 0;
  const server = createServer(() => {
    dials += 1;
  });
  await once(server.listen(address.port, address.host), "listening");
  await Promise.all(waiting);
  server.close();
  await once(server, "close");
  expect(dials).toBe(1);
});

test("who leaves takes nobody along, and who comes after the last one left is told too", async () => {
  const address = { host: "127.0.0.1", port: await freePort() };
  const gates = new AwayGates();
  const leave = new AbortController();
  const left = gates.untilAny([{ address }], leave.signal);
  const stays = new AbortController();
  const stayed = gates.untilAny([{ address }], stays.signal);
  leave.abort();
  await left;
  stays.abort();
  await stayed;
  const late = gates.untilAny([{ address }], AbortSignal.timeout(60_000));
  const server = createServer();
  await once(server.listen(address.port, address.host), "listening");
  await late;
  server.close();
});
