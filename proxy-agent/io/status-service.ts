// Status service: answers any member that asks whether this proxy serves, and whether it routes to a VM.

import {
  decodeRecord,
  encodeRecord,
  type Mesh,
  PROXY_STATUS_SERVICE,
  type ProxyStatusAnswer,
  proxyStatusRequestShape,
  type VmName,
  type VmRouting,
} from "../../mesh/index.ts";

export interface StatusDeps {
  readonly status: () => Pick<ProxyStatusAnswer, "serving" | "stale" | "serial">;
  readonly explain: (vm: VmName) => VmRouting;
}

export function serveStatus(mesh: Mesh, { status, explain }: StatusDeps): void {
  mesh.handle(PROXY_STATUS_SERVICE, async function* (request) {
    const decoded = decodeRecord(proxyStatusRequestShape, request);
    if (!decoded.ok) throw new Error(`proxy-status: ${decoded.error}`);
    const { vm } = decoded.value;
    // First: it builds the table, which may raise the serial.
    const routing = vm === null ? null : explain(vm);
    yield encodeRecord({ format: 1, ...status(), vm: routing } satisfies ProxyStatusAnswer);
  });
}
