import fc from "fast-check";
import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";

test("EventQueue pops in the order of times, and of pushes where times are equal, whatever is interleaved", () => {
  const commands = fc.array(fc.option(fc.integer({ min: 0, max: 9 })), { maxLength: 300 });
  fc.assert(
    fc.property(commands, (list) => {
      const queue = new EventQueue<readonly [atMs: number, serial: number]>();
      let model: (readonly [number, number])[] = [];
      for (const [serial, atMs] of list.entries()) {
        if (atMs === null) {
          expect(queue.pop()).toEqual(model[0]);
          model = model.slice(1);
        } else {
          queue.push(atMs, [atMs, serial]);
          model = [...model, [atMs, serial] as const].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        }
        expect(queue.size).toBe(model.length);
        expect(queue.nextAtMs).toBe(model[0]?.[0] ?? Number.POSITIVE_INFINITY);
      }
    }),
  );
});
