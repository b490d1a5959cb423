// doctor: what is wrong here, and what to type next: of this machine by a member's file or by the agent that runs, and of the
// cluster by what that agent and its members tell. Changes nothing.

import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { describeConfigErrors } from "../../../mesh/keys.ts";
import { DOCTOR_ALL_MS, DOCTOR_HEALTH_MS } from "../../limits.ts";
import { ApiClient, NoAgentError } from "../api-client.ts";
import { type DoctorReport, doctorText } from "../doctor/doctor-text.ts";
import { type AskedAgent, examineCluster } from "../doctor/examine-cluster.ts";
import { examineHost } from "../doctor/examine-host.ts";
import { countOf, type Finding, failure, type Skipped } from "../doctor/finding.ts";
import { gatherRunning, isProgram, pidShape, type RunningFacts } from "../doctor/gather-process.ts";
import { orElse } from "../doctor/or-else.ts";
import { agentTarget, programOf, readTarget, type Target } from "../doctor/target.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type ClientOptions, print, printJson, type Session, UsageError, withAgent } from "../session.ts";

export interface DoctorOptions extends ClientOptions {
  readonly config?: string;
}

const AGENT_SOCKET = "agent.sock";
const healthShape = z.looseObject({ name: z.string(), pid: pidShape });
/** An agent's configuration as it tells it (node/config/agent-config.ts, `publicConfig`). */
const hostPortLoose = z.looseObject({ host: z.string(), port: z.number() });
const configShape = z.looseObject({
  name: z.string(),
  cluster: z.string(),
  stateDir: z.string(),
  listen: z.string(),
  advertise: z.array(z.string()),
  seeds: z.array(z.string()),
  api: hostPortLoose,
  gate: hostPortLoose.nullable(),
});

/** 1: something fails. */
export function doctor(options: DoctorOptions): Promise<ExitCode> {
  return withAgent("doctor", options, async (session) => {
    const startedAtMs = performance.now();
    const report = await examine(options, session);
    const ok = countOf(report.findings, "fail") === 0;
    const tookMs = Math.round(performance.now() - startedAtMs);
    const told = { ok, ...report, tookMs } satisfies DoctorReport;
    if (options.json === true) printJson(told);
    else print(doctorText(told));
    return ok ? EXIT.done : EXIT.failed;
  });
}

type Examined = Omit<DoctorReport, "ok" | "tookMs">;

async function examine(options: DoctorOptions, session: Session): Promise<Examined> {
  const given = options.config === undefined ? null : await targetOf(options.config);
  const running = given && gatherRunning(given);
  const reached = await findAgent(options, session, given, running);
  const client = new ApiClient(addressesOf(reached));
  try {
    const own = reached.kind === "answers" ? await targetOfAgent(client, reached.agent, session) : null;
    const found = ofSameCluster(reached, own, given);
    const agent = found.kind === "answers" ? found.agent : null;
    const target = given ?? (agent?.isLocal === true ? own : null);
    const runs = given === null && agent !== null ? { pid: agent.pid, api: null } : running;
    const findings = await Promise.all([
      target === null ? [] : bounded("machine", examineHost(target, runs, session.signal)),
      agent === null ? [] : bounded("cluster", examineCluster(client, agent, session.signal)),
    ]);
    session.signal.throwIfAborted();
    return {
      member: target && { name: target.name, program: target.program, running: runs !== null },
      askedBy: agent?.name ?? null,
      findings: [...findings.flat(), ...(found.kind === "fails" ? [found.finding] : [])],
      skipped: skippedOf(target, found),
    };
  } finally {
    await client.close();
  }
}

function bounded(check: string, work: Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  return orElse(work, DOCTOR_ALL_MS, (reason) => [
    failure(check, {
      found: `not all could be looked at: ${reason}`,
      means: "what it looks at hangs, or the machine is overloaded",
      next: "top; grapevine doctor once more",
    }),
  ]);
}

async function targetOf(file: string): Promise<Target> {
  const read = await readTarget(file, programOf(textOf(file)));
  if (read.ok) return read.value;
  throw new UsageError(describeConfigErrors(read.error));
}

/** "": its reader says why. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** What the agent that runs here was started with. null: its cut does not say it so. */
async function targetOfAgent(
  client: ApiClient,
  { name }: AskedAgent,
  { signal }: Session,
): Promise<Target | null> {
  const path = `/v1/debug/members/${encodeURIComponent(name)}/about`;
  const answer = await client
    .json({ method: "GET", path, answerTimeoutMs: DOCTOR_HEALTH_MS }, signal)
    .catch(() => null);
  const about = z.looseObject({ config: configShape }).safeParse(answer);
  if (!about.success) return null;
  return agentTarget(about.data.config);
}

type Found =
  | { readonly kind: "answers"; readonly agent: AskedAgent }
  | { readonly kind: "none"; readonly why: string }
  /** One that should answer does not. */
  | { readonly kind: "fails"; readonly finding: Finding };

/** Without a file somebody must be asked: throws `NoAgentError`. With one, the agent of its state folder, unless --api says another. */
async function findAgent(
  options: DoctorOptions,
  session: Session,
  target: Target | null,
  running: RunningFacts | null,
): Promise<Found> {
  const socket = target && options.api === undefined ? agentSocketOf(target) : null;
  const own = socket === null ? null : new ApiClient([{ address: socket, name: null, isVerified: true }]);
  try {
    const client = own ?? session.client;
    const request = { method: "GET", path: "/v1/health", answerTimeoutMs: DOCTOR_HEALTH_MS } as const;
    const { name, pid } = healthShape.parse(await client.json(request, session.signal));
    const address = client.current;
    return { kind: "answers", agent: { name, pid, address, isLocal: isProgram(pid, "agent") } };
  } catch (error) {
    session.signal.throwIfAborted();
    if (!(error instanceof NoAgentError)) throw error;
    if (target === null)
      throw new NoAgentError(`${error.message}. Of a machine before its agent starts: --config FILE`);
    return absent(error.message, { options, target, running });
  } finally {
    await own?.close();
  }
}

interface Absence {
  readonly options: DoctorOptions;
  readonly target: Target;
  readonly running: RunningFacts | null;
}

function absent(message: string, { options, target, running }: Absence): Found {
  const isRunning = target.program === "agent" && running !== null;
  if (options.api === undefined && !isRunning) return { kind: "none", why: message };
  const who = isRunning ? `the agent that runs here (pid ${running.pid})` : "the agent";
  return {
    kind: "fails",
    finding: failure("agent", {
      found: `${who} does not answer: ${message}`,
      means: "it is stopped, hangs, or was not given that address",
      next: isRunning ? `its log; kill -CONT ${running.pid}, or a new start` : "the address in --api",
    }),
  };
}

/** Of an agent its own; a gate's agent keeps it beside the socket that the gate is told of. */
function agentSocketOf({ program, stateDir, peerSocket }: Target): string | null {
  if (program === "agent") return path.join(stateDir, AGENT_SOCKET);
  return program === "gate" && peerSocket !== null ? path.join(path.dirname(peerSocket), AGENT_SOCKET) : null;
}

/** The one that answered, and no other: what it says is judged as its word. */
function addressesOf(found: Found): ConstructorParameters<typeof ApiClient>[0] {
  if (found.kind !== "answers") return [];
  return [{ address: found.agent.address, name: null, isVerified: true }];
}

/** What another cluster is like says nothing of the member in the file. */
function ofSameCluster(found: Found, own: Target | null, given: Target | null): Found {
  if (found.kind !== "answers" || given === null || own === null || own.cluster === given.cluster)
    return found;
  const { name, address } = found.agent;
  const why = `the agent that answers, ${name} at ${address}, is of another cluster; --api names one of this`;
  return { kind: "none", why };
}

function skippedOf(target: Target | null, found: Found): readonly Skipped[] {
  return [
    ...(target === null
      ? [
          {
            check: "machine",
            why: "no agent runs on this machine that was asked; --config FILE names a member's file",
          },
        ]
      : []),
    ...(found.kind === "none" ? [{ check: "cluster", why: found.why }] : []),
  ];
}
