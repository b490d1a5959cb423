// Lifetimes: which processes of the app run, as its host's driver knows it. `exclusive`: of an app that must not run twice no two do at
// once, on whatever hosts.

import assert from "node:assert/strict";
import type { MemberName, VmName } from "../../mesh/index.ts";

export class Lifetimes {
  readonly #isExclusive: boolean;
  /** Where. */
  readonly #running = new Map<VmName, MemberName>();

  constructor(isExclusive: boolean) {
    this.#isExclusive = isExclusive;
  }

  begin(vm: VmName, host: MemberName): void {
    const [other] = this.#running;
    assert.ok(
      !this.#isExclusive || other === undefined,
      `exclusive: ${vm} starts on ${host} while ${other?.[0]} runs on ${other?.[1]}`,
    );
    this.#running.set(vm, host);
  }

  end(vm: VmName): void {
    this.#running.delete(vm);
  }
}
