// Requests that were sent on for a moment, and wait again: the pace at which all go, once they may, does not count them twice.

import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HOLD_DEFAULTS } from "../../mesh/index.ts";
import { type AppRoute, EMPTY_TABLE, NOT_HELD, nextTable } from "../core/route-table.ts";
import { HOLD_RELEASE_FIRST } from "../limits.ts";
import { appRoute } from "../testing/app-route.ts";
import { monotonicUnixMs } from "./clock.ts";
import { Exchange } from "./exchange.ts";
import { HeldRequests } from "./held-requests.ts";

const WAITING = 3 * HOLD_RELEASE_FIRST;

let held: HeldRequests;
let table = EMPTY_TABLE;
let sentOn: Set<Exchange>;
beforeEach(() => {
  held = new HeldRequests({ catchUp: { reach: async () => "unknown" } });
  table = EMPTY_TABLE;
  sentOn = new Set();
});
afterEach(() => held.stop());

function routeOf(epoch: number, isHeld: boolean): AppRoute {
  return appRoute({ epoch, hold: isHeld ? { by: "rollout", bounds: HOLD_DEFAULTS } : NOT_HELD });
}

/** Resolves to the route in force, once who may go by it has gone. */
async function adopt(isHeld: boolean): Promise<AppRoute> {
  const route = routeOf(table.serial + 1, isHeld);
  table = nextTable(table, [route]);
  held.adopt(table);
  await turn();
  return route;
}

function exchange(): Exchange {
  const request = new IncomingMessage(new Socket());
  return new Exchange({ request, response: new ServerResponse(request), waitsFor: null, marks: () => ({}) });
}

function wait(exchanges: Iterable<Exchange>, route: AppRoute): void {
  for (const one of exchanges) {
    const answer = held.wait(one, route, monotonicUnixMs());
    void answer.then((refusal) => refusal === null && sentOn.add(one));
  }
}

test("as many go at once as the first time, and nobody is left on their response", async () => {
  const exchanges = Array.from({ length: WAITING }, exchange);
  wait(exchanges, await adopt(true));
  for (let round = 0; round < 3; round += 1) {
    await adopt(false);
    expect(sentOn.size).toBe(HOLD_RELEASE_FIRST);
    const back = [...sentOn];
    sentOn.clear();
    wait(back, await adopt(true));
  }
  const listeners = exchanges.map(({ response }) => response.listenerCount("close"));
  const [own = 0] = [exchange()].map(({ response }) => response.listenerCount("close"));
  expect(Math.max(...listeners)).toBe(own + 1);
});
