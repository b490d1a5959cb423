// Cut-off proxy: one more proxy of a dev cluster that can be cut off from the mesh for good while it still reaches the hosts. It stays
// registered, so every rollout asks it until a person excludes it. A process of its own, as the others are: in its tester's it would wait
// for what that does, and requests through it with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { LoadClient } from "../../node/cli/demo/load-client.ts";
import { CUT_OFF, type CutOffLine } from "./cut-off-protocol.ts";
import { type Answer, get } from "./get.ts";

export interface CutOffProxy {
  readonly name: string;
  readonly http: string;
  readonly admin: string;
  /** Steady GETs through it: so few that this process sends them beside all else on a machine with too much to do. */
  load(): LoadClient;
  get(): Promise<Answer>;
  /** Resolves once it hears nothing of the mesh any more, and says nothing there. */
  cutOff(): Promise<void>;
  stop(): Promise<void>;
}

const PROCESS = fileURLToPath(new URL("cut-off-process.ts", import.meta.url));
const HOST = "web.localhost";

/** Resolves when it serves. `stateDir`: of the dev cluster. */
export async function cutOffProxy(stateDir: string): Promise<CutOffProxy> {
  const child = spawn(process.execPath, [PROCESS, stateDir], { stdio: ["pipe", "pipe", "inherit"] });
  // Of one that died: it is told by what it did not say.
  child.stdin.on("error", () => undefined);
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const said = async <Event extends CutOffLine["event"]>(event: Event) => {
    const { value, done } = await lines.next();
    const line = done === true ? null : (JSON.parse(value) as CutOffLine);
    if (line?.event !== event)
      throw new Error(`a proxy to be cut off did not say ${event}: ${value ?? "it ended"}`);
    return line as CutOffLine & { readonly event: Event };
  };
  const { name, http, admin } = await said("serves");
  return {
    name,
    http,
    admin,
    load: () =>
      new LoadClient({ targets: [http], host: HOST, path: "/", ratePerSecond: 10, connections: "both" }),
    get: () => get(`${http}/`, HOST),
    cutOff: async () => {
      child.stdin.write(`${CUT_OFF}\n`);
      await said("cut-off");
    },
    stop: async () => {
      child.stdin.end();
      const [code] = await closed;
      if (code !== 0) throw new Error(`a proxy to be cut off ended with ${code}`);
    },
  };
}
