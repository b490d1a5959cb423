// Answer all: in a world of one app every gate closes, and every proxy that is not silent applies and answers, each once. No VM moves.

import type { World } from "./world.ts";

export function answerAll(world: World): void {
  for (const host of world.hosts) world.closeGate(host);
  for (const proxy of world.proxies.keys()) {
    if (world.silent.has(proxy)) continue;
    world.apply(proxy);
    world.answer(proxy);
    world.deliver(proxy);
  }
}
