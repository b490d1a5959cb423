// VM environment: what a VM is told of itself. It goes over its own env: where a VM listens and who it is are no matter of its spec.

import type { MemberName, VmEntry } from "../../mesh/index.ts";
import type { ProbeAddress } from "../health/probe.ts";

/** `fence`: of an app that never runs twice, the epoch by which it had its turn; who comes later has a higher one. Null: it waits for none. */
export function environmentOf(
  { vm, app, release }: Pick<VmEntry, "vm" | "app" | "release">,
  {
    host,
    address,
    fence,
  }: { readonly host: MemberName; readonly address: ProbeAddress | null; readonly fence: number | null },
): Readonly<Record<string, string>> {
  return {
    ...(address === null ? {} : { HOST: address.host, PORT: String(address.port) }),
    ...(fence === null ? {} : { GRAPEVINE_FENCE: String(fence) }),
    GRAPEVINE_APP: app,
    GRAPEVINE_VM: vm,
    GRAPEVINE_RELEASE: `v${release}`,
    GRAPEVINE_HOST: host,
  };
}
