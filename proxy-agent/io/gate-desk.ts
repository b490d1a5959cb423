// Gate desk: what this proxy settles with gates beside the requests: it takes the newer record that a refusal carries, hands in the
// one that a gate lacks, and asks whether a VM can be reached. So a proxy that hears nothing of the mesh goes on by the gates alone.

import {
  type AppName,
  appKey,
  decodeRecord,
  encodeCommitted,
  encodeRecord,
  encodeVoterLink,
  messageOf,
  type Registers,
  type VmName,
} from "../../mesh/index.ts";
import {
  type Errand,
  GATE_HEADER,
  type GateAnswer,
  gateEntriesShape,
  gateListsShape,
  gateRequestHeader,
  readGateAnswer,
} from "../core/gate-headers.ts";
import type { Endpoint } from "../core/route-table.ts";
import { GATE_ANSWER_BYTES_MAX, GATE_CATCH_UPS_MAX, GATE_ERRAND_TIMEOUT_MS } from "../limits.ts";
import { httpRequest } from "./http.ts";
import type { RouteFeed } from "./route-feed.ts";

export interface GateDeskDeps {
  readonly registers: Pick<Registers, "apps" | "directory">;
  readonly feed: Pick<RouteFeed, "table" | "flush" | "hostsMissing" | "takeProven">;
  readonly onLearned: () => void;
}

interface Said {
  /** Null: something answered that is no gate of ours. */
  readonly answer: GateAnswer | null;
  readonly bytes: Uint8Array;
}

interface Errands {
  readonly errand: Errand;
  readonly app: AppName;
  readonly vm: VmName;
  readonly epoch: number;
  readonly body?: Uint8Array;
}

export class GateDesk {
  readonly #deps: GateDeskDeps;
  /** Of requests that meet the same gate behind at the same time, one hands in. */
  readonly #handIns = new Map<string, Promise<boolean>>();
  /** Of those that lack entries of one app at the same time, one asks. */
  readonly #asked = new Map<AppName, Promise<void>>();

  constructor(deps: GateDeskDeps) {
    this.#deps = deps;
  }

  /** The newest epoch of an app that is known here. */
  epochOf(app: AppName): number {
    return this.#deps.registers.apps.get(app)?.epoch ?? 0;
  }

  /** Takes the record that its gate sent with a refusal. True: it is in force, or a newer one is. */
  async learn(endpoint: Endpoint, sent: Uint8Array): Promise<boolean> {
    const { app, address } = endpoint;
    const { registers, feed, onLearned } = this.#deps;
    // An answer to HEAD has no body, and one that broke off not all of it.
    const record = sent.length > 0 ? sent : await this.#fetchRecord(endpoint);
    let taken = registers.apps.take(appKey(app), record);
    if (!taken.ok && taken.error === "unknown-list") {
      await this.#fetchLists(address);
      taken = registers.apps.take(appKey(app), record);
    }
    feed.flush();
    if (taken.ok) onLearned();
    const entries = this.#learnEntries(endpoint);
    // Without them requests can go to the others: who has nowhere to go for a VM waits.
    if ((feed.table.apps.get(app)?.unaddressed.length ?? 0) > 0) await entries;
    // Of two refusals that come together the second one's record is not news.
    return taken.ok || taken.error === "stale";
  }

  /** What the record says of VMs is of no use without who their hosts are, and where. Never rejects. */
  #learnEntries({ app, address }: Endpoint): Promise<void> {
    const { feed } = this.#deps;
    if (feed.hostsMissing(app).length === 0) return Promise.resolve();
    return shared(this.#asked, app, () => this.#fetchEntries(address, app));
  }

  /** Gives the gate our newest record of that app. True: the gate has it, or a newer one. */
  handIn({ app, address }: Endpoint): Promise<boolean> {
    const key = `${address.host} ${address.port} ${app} ${this.epochOf(app)}`;
    return shared(this.#handIns, key, () => this.#handIn(address, app));
  }

  /** Null: the gate could reach the VM. Else why not, for people. */
  async probe(endpoint: Endpoint, signal: AbortSignal): Promise<string | null> {
    const { app, vm, address } = endpoint;
    for (let round = 0; round < GATE_CATCH_UPS_MAX; round += 1) {
      const epoch = this.epochOf(app);
      const { answer, bytes } = await ask(address, { errand: "probe", app, vm, epoch }, signal);
      if (answer === "done") return null;
      if (answer === "behind" && (await this.handIn(endpoint))) continue;
      if (answer === "ahead" && (await this.learn(endpoint, bytes)) && this.epochOf(app) > epoch) continue;
      return describeNo(answer, bytes);
    }
    return "its gate and this proxy do not agree on a record";
  }

  async #handIn(address: Endpoint["address"], app: AppName): Promise<boolean> {
    const { apps, directory } = this.#deps.registers;
    const held = apps.get(app);
    if (held === undefined) return false;
    const record = encodeCommitted(held.committed);
    const give = async (links: readonly Uint8Array[]): Promise<Said> => {
      const body = encodeRecord({ format: 1, key: appKey(app), record, links });
      // The VM is none of this errand's; the header has a place for one.
      const errand = { errand: "take", app, vm: app as string as VmName, epoch: held.epoch, body } as const;
      return ask(address, errand, AbortSignal.timeout(GATE_ERRAND_TIMEOUT_MS));
    };
    try {
      const first = await give([]);
      if (first.answer === "done") return true;
      if (Buffer.from(first.bytes).toString() !== "unknown-list") return false;
      return (await give(directory.links.map(encodeVoterLink))).answer === "done";
    } catch {
      // It cannot be reached any more: the next try of the request finds that out.
      return false;
    }
  }

  /** Empty: there is none to be had. */
  async #fetchRecord({ app, vm, address }: Endpoint): Promise<Uint8Array> {
    const errand = { errand: "probe", app, vm, epoch: 0 } as const;
    const signal = AbortSignal.timeout(GATE_ERRAND_TIMEOUT_MS);
    return ask(address, errand, signal).then(
      ({ answer, bytes }) => (answer === "ahead" ? bytes : NOTHING),
      () => NOTHING,
    );
  }

  async #fetchEntries(address: Endpoint["address"], app: AppName): Promise<void> {
    const errand = { errand: "entries", app, vm: NOBODY, epoch: 0 } as const;
    try {
      const { bytes } = await ask(address, errand, AbortSignal.timeout(GATE_ERRAND_TIMEOUT_MS));
      const entries = decodeRecord(gateEntriesShape, bytes);
      if (entries.ok) for (const proof of entries.value.proofs) this.#deps.feed.takeProven(app, proof);
      this.#deps.feed.flush();
    } catch {
      // Then of VMs that the mesh has not told of nothing is known: they are passed over.
    }
  }

  async #fetchLists(address: Endpoint["address"]): Promise<void> {
    const { directory } = this.#deps.registers;
    const errand = { errand: "lists", app: NOBODY, vm: NOBODY, epoch: 0 } as const;
    try {
      const { bytes } = await ask(address, errand, AbortSignal.timeout(GATE_ERRAND_TIMEOUT_MS));
      const lists = decodeRecord(gateListsShape, bytes);
      if (lists.ok) for (const link of lists.value.links) directory.learnUnasked(link);
    } catch {
      // Then the record stays of an unknown list, and is not taken.
    }
  }
}

const NOTHING = new Uint8Array();
const NOBODY = "none" as AppName & VmName;

/** The one that runs for this key, or a new one. */
function shared<Key, Value>(
  running: Map<Key, Promise<Value>>,
  key: Key,
  start: () => Promise<Value>,
): Promise<Value> {
  const held = running.get(key);
  if (held !== undefined) return held;
  const started = start().finally(() => running.delete(key));
  running.set(key, started);
  return started;
}

function describeNo(answer: GateAnswer | null, bytes: Uint8Array): string {
  switch (answer) {
    case "unreachable":
      return `its gate cannot reach it: ${Buffer.from(bytes).toString().slice(0, 500)}`;
    case "shut":
      return "its gate is shut until it, or its agent for a VM with a lease, has asked a majority of the voters";
    case "behind":
      return "its gate goes by an older record";
    case "ahead":
    case "closed":
      return "its gate has closed it";
    default:
      return answer === null ? "what answers there is no gate" : `its gate says ${answer}`;
  }
}

/** Rejects when nothing, or nothing whole, is answered. */
async function ask(
  { host, port }: Endpoint["address"],
  { body, ...errand }: Errands,
  signal: AbortSignal,
): Promise<Said> {
  const { promise, resolve, reject } = Promise.withResolvers<Said>();
  const headers = { [GATE_HEADER]: gateRequestHeader(errand), "content-length": body?.length ?? 0 };
  const method = body === undefined ? "GET" : "POST";
  const options = { host, port, method, headers, agent: false, signal, timeout: GATE_ERRAND_TIMEOUT_MS };
  const request = httpRequest(options, (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > GATE_ANSWER_BYTES_MAX) request.destroy(new Error("it answers without end"));
      else chunks.push(chunk);
    });
    response.on("error", reject);
    response.on("end", () =>
      resolve({ answer: readGateAnswer(response.headers[GATE_HEADER]), bytes: Buffer.concat(chunks) }),
    );
  });
  request.on("timeout", () => request.destroy(new Error("timed out")));
  request.on("error", (error) => reject(new Error(messageOf(error))));
  request.end(body);
  return promise;
}
