// Heal world: everyone in a world of one app does their part once: hosts are back and close their gates, proxies that are not silent apply
// and answer, VMs become healthy or go, as the record wants it by now.

import { commandVmOf } from "../../../mesh/index.ts";
import { isPrepared, mayComeUp } from "./handed-over.ts";
import { GOOD_COUNTS } from "./told-counts.ts";
import { ENDED_WELL, HEALTHY, PREPARED } from "./vm-states.ts";
import type { World } from "./world.ts";

export function healWorld(world: World): void {
  for (const host of [...world.dead.keys()]) world.hostBack(host, { isNew: false });
  for (const host of world.hosts) world.closeGate(host);
  for (const proxy of world.proxies.values()) Object.assign(proxy, { known: true, connected: true });
  world.membersChanged();
  for (const name of world.proxies.keys()) {
    if (world.silent.has(name)) continue;
    world.apply(name);
    world.count({ proxy: name, startId: "a", ...GOOD_COUNTS });
    world.finish(name);
    world.answer(name);
    while ((world.proxies.get(name)?.told.length ?? 0) > 0) world.deliver(name);
  }
  healVms(world);
}

function healVms(world: World): void {
  const wanted = new Set(world.committed?.record.vms.map((vm) => vm.vm));
  const command = world.committed === null ? null : commandVmOf(world.committed.record);
  if (command !== null) {
    world.say(command.vm, ENDED_WELL);
    return;
  }
  for (const vm of [...world.entries.keys()]) if (!wanted.has(vm)) world.gone(vm);
  for (const vm of wanted) {
    if (isPrepared(world, vm)) world.say(vm, PREPARED);
    else if (mayComeUp(world, vm) && world.entries.get(vm)?.entry.health !== "healthy")
      world.say(vm, HEALTHY);
  }
}
