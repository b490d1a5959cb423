import { expect, test } from "vitest";
import { appName } from "../../../mesh/index.ts";
import { Closings } from "./closings.ts";

const [WEB, SHOP] = [appName("web"), appName("shop")];

test("a VM is closed once its record is on disk, not at the sync of an older one or of another app's", () => {
  const closings = new Closings();
  closings.began(WEB, 1_000);
  closings.began(WEB, 1_000);
  closings.taken(WEB, 7);
  closings.onDisk(WEB, 6, 1_001);
  closings.onDisk(SHOP, 9, 1_001);
  expect(closings.view().sum).toBe(0);
  closings.began(WEB, 1_500);
  closings.taken(WEB, 8);
  closings.onDisk(WEB, 7, 2_000);
  expect(closings.view().sum).toBe(2);
  closings.onDisk(WEB, 8, 2_000);
  closings.onDisk(WEB, 8, 9_000);
  const { bounds, counts, sum } = closings.view();
  expect(sum).toBe(2.5);
  expect(counts[bounds.indexOf(1)]).toBe(2);
  expect(counts[bounds.indexOf(0.5)]).toBe(1);
  expect(counts.reduce((left, right) => left + right)).toBe(3);
});
