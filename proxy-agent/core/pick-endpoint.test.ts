import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { appName, memberName, type VmName, vmName } from "../../mesh/index.ts";
import { type Choice, pickEndpoint } from "./pick-endpoint.ts";
import type { Endpoint } from "./route-table.ts";

function endpoint(index: number, healthy = true): Endpoint {
  const [vm, app, host] = [vmName(`hello-v1-${index}`), appName("hello"), memberName("host-1")];
  return {
    vm,
    app,
    release: 1,
    host,
    address: { host: "127.0.0.1", port: index },
    healthy,
    hostAway: false,
    isGated: false,
    drainTimeoutMs: 0,
  };
}

function choice(over: Partial<Choice> = {}): Choice {
  return {
    tried: new Set(),
    inFlight: () => 0,
    isSuspect: () => false,
    isReached: () => true,
    random: () => 0,
    ...over,
  };
}

describe("pickEndpoint()", () => {
  test("takes the one with fewer requests of the two that chance names", () => {
    const endpoints = [endpoint(1), endpoint(2)];
    const inFlight = (vm: VmName) => (vm === "hello-v1-1" ? 5 : 2);
    expect(pickEndpoint(endpoints, choice({ inFlight }))?.vm).toBe("hello-v1-2");
  });

  test("prefers healthy and dialable ones, and takes any other before none", () => {
    const endpoints = [endpoint(1, false), endpoint(2), endpoint(3)];
    const isSuspect = (vm: VmName) => vm === "hello-v1-2";
    expect(pickEndpoint(endpoints, choice({ isSuspect }))?.vm).toBe("hello-v1-3");
    const tried = new Set([vmName("hello-v1-3")]);
    expect(pickEndpoint(endpoints, choice({ isSuspect, tried }))?.vm).toBe("hello-v1-2");
    tried.add(vmName("hello-v1-2"));
    expect(pickEndpoint(endpoints, choice({ isSuspect, tried }))?.vm).toBe("hello-v1-1");
    tried.add(vmName("hello-v1-1"));
    expect(pickEndpoint(endpoints, choice({ isSuspect, tried }))).toBeUndefined();
  });

  test("leaves one that this proxy has not reached yet for last of those that can be dialled", () => {
    const endpoints = [endpoint(1), endpoint(2)];
    const isReached = ({ vm }: Endpoint) => vm === "hello-v1-2";
    expect(pickEndpoint(endpoints, choice({ isReached }))?.vm).toBe("hello-v1-2");
    const isSuspect = (vm: VmName) => vm === "hello-v1-2";
    expect(pickEndpoint(endpoints, choice({ isReached, isSuspect }))?.vm).toBe("hello-v1-1");
  });

  test("asks one whose host is away after all healthy others, and before those that are unhealthy", () => {
    const endpoints = [{ ...endpoint(1), hostAway: true }, endpoint(2), endpoint(3, false)];
    const isSuspect = () => true;
    const tried = new Set<VmName>();
    const picks = endpoints.map(() => {
      const picked = pickEndpoint(endpoints, choice({ isSuspect, tried }));
      if (picked !== undefined) tried.add(picked.vm);
      return picked?.vm;
    });
    expect(picks).toEqual(["hello-v1-2", "hello-v1-1", "hello-v1-3"]);
  });

  test("never picks a tried one, and picks one whenever one is left", () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const run = fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.boolean()), { maxLength: 8 }),
      random,
      (flags, dice) => {
        const endpoints = flags.map(([healthy], index) => endpoint(index, healthy));
        const tried = new Set(endpoints.filter((_, index) => flags[index]?.[1]).map(({ vm }) => vm));
        const picked = pickEndpoint(endpoints, choice({ tried, random: () => dice }));
        expect(picked === undefined).toBe(tried.size === endpoints.length);
        if (picked !== undefined) expect(tried.has(picked.vm)).toBe(false);
      },
    );
    fc.assert(run);
  });
});
