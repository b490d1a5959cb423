// Short value: what an entry says, in a few words, for lists. Of our own records what matters; of others their size. Never
// an environment, a command line or output: those may hold secrets.

import {
  APP_PREFIX,
  type AppRecord,
  decodeCommittedApp,
  decodeMemberEntry,
  decodeRecord,
  HOST_PREFIX,
  hostEntryShape,
  MEMBER_KEY,
  PROXY_PREFIX,
  proxyEntryShape,
  type Result,
  SUSPECT_PREFIX,
  VM_PREFIX,
  type VmEntry,
  vmEntryShape,
} from "../../mesh/index.ts";

/** One line. */
export function shortValue(key: string, value: Uint8Array): string {
  return knownValue(key, value) ?? `${value.length} bytes`;
}

function knownValue(key: string, value: Uint8Array): string | null {
  if (key.startsWith(VM_PREFIX)) return described(decodeRecord(vmEntryShape, value), describeVm);
  if (key.startsWith(APP_PREFIX))
    return described(
      decodeCommittedApp(value),
      ({ epoch, record }) => `epoch ${epoch}, ${describeApp(record)}`,
    );
  if (key.startsWith(HOST_PREFIX))
    return described(decodeRecord(hostEntryShape, value), ({ api, pid }) => `api ${api}, pid ${pid}`);
  if (key.startsWith(PROXY_PREFIX))
    return described(decodeRecord(proxyEntryShape, value), ({ http, pid }) => `http ${http}, pid ${pid}`);
  if (key === MEMBER_KEY)
    return described(decodeMemberEntry(value), ({ name, role, isLeaving, refutation }) =>
      [`${role} ${name}`, isLeaving ? "leaves" : "", refutation > 0 ? `objected ${refutation}` : ""]
        .filter((part) => part !== "")
        .join(", "),
    );
  if (key.startsWith(SUSPECT_PREFIX)) return "cannot reach it";
  return null;
}

function described<Value>(decoded: Result<Value>, describe: (value: Value) => string): string {
  return decoded.ok ? describe(decoded.value) : `cannot be read: ${decoded.error}`;
}

function describeVm({ state, health, address, reason, restarts }: VmEntry): string {
  const parts = [
    state === "running" ? `running, ${health}` : state,
    address === null ? "no address" : `${address.host}:${address.port}`,
    restarts === 0 ? "" : `${restarts} restarts`,
    reason ?? "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function describeApp({ deleted, vms, rollout, current }: AppRecord): string {
  const release = deleted ? "destroyed" : current === null ? "no release yet" : `v${current}`;
  const going = rollout === null ? "" : `, rollout ${rollout.id} ${rollout.state}`;
  return `${release}, ${vms.length} VMs${going}`;
}
