import { expect, test } from "vitest";
import { appName, memberName, QUIET_REPEAT_MS, WANTED_REPEAT_MS } from "../../../mesh/index.ts";
import { HeardDemands } from "./heard-demands.ts";

const [ONE, TWO] = [memberName("proxy-1"), memberName("proxy-2")];
const app = appName("hello");

test("what is wanted is the sum over proxies of what each said last, as long as they repeat it", () => {
  const heard = new HeardDemands();
  heard.take(ONE, { app, wanted: 7, quietMs: null }, 0);
  heard.take(ONE, { app, wanted: 3, quietMs: null }, 5 * WANTED_REPEAT_MS);
  heard.take(TWO, { app, wanted: 4, quietMs: null }, 6 * WANTED_REPEAT_MS);
  expect(heard.wanted(7 * WANTED_REPEAT_MS)).toBe(7);
  expect(heard.wanted(15 * WANTED_REPEAT_MS)).toBe(4);
  expect(heard.wanted(16 * WANTED_REPEAT_MS)).toBe(0);
});

test("a proxy that said nothing lately, or whose last word is of a request, is not quiet", () => {
  const heard = new HeardDemands();
  heard.take(ONE, { app, wanted: 0, quietMs: 9_000 }, 0);
  heard.take(TWO, { app, wanted: 0, quietMs: 9_000 }, 0);
  heard.take(TWO, { app, wanted: 0, quietMs: null }, 1);
  expect([...heard.quietMs(QUIET_REPEAT_MS)]).toEqual([[ONE, 9_000]]);
  expect([...heard.quietMs(3 * QUIET_REPEAT_MS)]).toEqual([]);
});
