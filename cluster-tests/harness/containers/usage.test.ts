import { expect, test } from "vitest";
import { parseUsage } from "./usage.ts";

test("reads CPU and memory of the unified hierarchy", () => {
  const text = "usage_usec 2500000\nuser_usec 2000000\nanon 104857600\nfile 5000\n";
  expect(parseUsage(text)).toEqual({ cpuSeconds: 2.5, residentBytes: 104_857_600 });
});

test("reads CPU and memory of the older hierarchy, with those of groups below", () => {
  const text = "cpuacct.usage 1250000000\ncache 4096\nrss 1\ntotal_cache 4096\ntotal_rss 2048\n";
  expect(parseUsage(text)).toEqual({ cpuSeconds: 1.25, residentBytes: 2_048 });
});

test("refuses what no kernel says", () => {
  expect(() => parseUsage("usage_usec 1\n")).toThrow("no CPU time or memory");
});
