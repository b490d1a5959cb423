// Proxy status: what a proxy says of itself and of one VM, asked of it over the mesh.

import {
  askForRecords,
  encodeRecord,
  fail,
  type MemberView,
  type Mesh,
  ok,
  PROXY_STATUS_SERVICE,
  type ProxyStatusAnswer,
  type ProxyStatusRequest,
  proxyStatusAnswerShape,
  type Result,
  type VmName,
} from "../../mesh/index.ts";

const ANSWER_BYTES_MAX = 64 * 1024;

/** Rejects only when `signal` aborts. */
export async function askProxyStatus(
  mesh: Mesh,
  proxy: MemberView,
  vm: VmName | null,
  signal: AbortSignal,
): Promise<Result<ProxyStatusAnswer>> {
  const answer = await askForRecords(
    mesh,
    proxy,
    {
      service: PROXY_STATUS_SERVICE,
      request: encodeRecord({ format: 1, vm } satisfies ProxyStatusRequest),
      bytesMax: ANSWER_BYTES_MAX,
      shape: proxyStatusAnswerShape,
    },
    signal,
  );
  if (!answer.ok) return answer;
  const [status] = answer.value;
  return status === undefined ? fail("its answer is empty") : ok(status);
}
