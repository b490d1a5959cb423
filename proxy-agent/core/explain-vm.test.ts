import { describe, expect, test } from "vitest";
import {
  type AppRecord,
  type DesiredVm,
  encodeRecord,
  type MemberName,
  memberName,
  type VmEntry,
  type VmRouting,
  vmKey,
  vmName,
} from "../../mesh/index.ts";
import { appRecord, desiredVm, HOST_1, vmEntry } from "../testing/cluster.ts";
import { explainVm } from "./explain-vm.ts";
import { RouteFold } from "./route-fold.ts";

const VM = vmName("hello-v1-1");
const HOST_2 = memberName("host-2");
let counter = 0;

class Fold {
  readonly fold: RouteFold = new RouteFold();

  commit(epoch: number, vms: readonly DesiredVm[], over: Partial<AppRecord> = {}): this {
    this.fold.takeCommitted({ epoch, record: { ...appRecord({ vms }), ...over } });
    return this;
  }

  say(port: number | null, over: Partial<VmEntry> = {}, host: MemberName = HOST_1): this {
    this.#take(encodeRecord(vmEntry(VM, port, over)), host);
    return this;
  }

  deleteVm(): this {
    this.#take(null, HOST_1);
    return this;
  }

  explain(): VmRouting {
    const table = this.fold.build();
    return explainVm(this.fold.known(VM), table);
  }

  #take(value: Uint8Array | null, host: MemberName): void {
    counter += 1;
    const version = { incarnation: 1, startId: 1, counter };
    this.fold.takeEntry({ key: vmKey(VM), value, version }, host);
  }
}

const serving = [desiredVm(VM)];

describe("a VM that is routed", () => {
  test("says nothing more when requests are sent there", () => {
    expect(new Fold().commit(5, serving).say(8080).explain()).toEqual({
      isRouted: true,
      app: "hello",
      epoch: 5,
      why: "",
    });
  });

  test("says what keeps requests away: its health, or its host", () => {
    const sick = new Fold().commit(5, serving).say(8080, { health: "unhealthy" });
    expect(sick.explain()).toMatchObject({
      isRouted: true,
      why: "asked only when no healthy one is left: host-1 sees it running and unhealthy",
    });
    const away = new Fold().commit(5, serving).say(8080);
    away.fold.setAway(new Set([HOST_1]));
    expect(away.explain()).toMatchObject({
      isRouted: true,
      why: expect.stringMatching(/^asked last: host-1 is dead/),
    });
  });
});

describe("a VM that is not routed", () => {
  test.each<readonly [what: string, fold: Fold, why: string]>([
    ["nobody knows of", new Fold(), "no app's record that is here names it"],
    ["no record has come for", new Fold().say(8080), "no app's record that is here names it"],
    [
      "the record that is here does not name",
      new Fold().commit(4, []).say(8080),
      "the record of hello that is here (epoch 4) does not name it",
    ],
    [
      "the record wants to start",
      new Fold().commit(5, [desiredVm(VM, "starting")]).say(8080),
      "the record (epoch 5) wants it to start: nothing is routed to it before it serves",
    ],
    [
      "the record has cordoned",
      new Fold().commit(6, [desiredVm(VM, "cordoned")]).say(8080),
      "the record (epoch 6) has cordoned it: nothing new is sent there",
    ],
    [
      "whose host's word is missing",
      new Fold().commit(5, serving),
      "nothing that host-1 said of hello-v1-1 is here",
    ],
    [
      "another host speaks for",
      new Fold().commit(5, serving).say(8080, { host: HOST_2 }, HOST_2),
      "nothing that host-1 said of hello-v1-1 is here; host-2 said something, and the record gives it to host-1",
    ],
    [
      "has no address yet",
      new Fold().commit(5, serving).say(null, { state: "preparing" }),
      "host-1 says that it is preparing, and gives no address",
    ],
    ["its host deleted", new Fold().commit(5, serving).deleteVm(), "host-1 has deleted it"],
    [
      "belongs to an app without hostnames",
      new Fold().commit(5, serving, { deleted: true }).say(8080),
      "the record (epoch 5) gives hello no hostname",
    ],
  ])("%s says so", (_what, fold, why) => {
    expect(fold.explain()).toMatchObject({ isRouted: false, why });
  });

  test("says whose its hostname is, when another app has it too", () => {
    const fold = new Fold().commit(5, serving).say(8080);
    fold.commit(1, [], { app: "abc" as AppRecord["app"], hostnames: ["hello.localhost"] });
    expect(fold.explain()).toMatchObject({
      isRouted: false,
      why: "hello.localhost belongs to abc as well, which is the first by name",
    });
  });
});
