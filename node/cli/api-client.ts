// API client: asks an agent over HTTP or its unix socket, and goes on through another when that one does not answer.

import type { Agent } from "node:http";
import { z } from "zod";
import { type Answer, connections, ExchangeError, exchange } from "./exchange.ts";
import type { AgentAddress } from "./find-agent.ts";

/** A connection that says nothing for so long is given up: well above the API's heartbeat of 2 s. */
const SILENCE_MS = 6_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** An answer within the bounds of everything the API lists. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const LINE_CHARS_MAX = 4 * 1024 * 1024;
/** Agents that one command ever learns of. */
const ADDRESSES_MAX = 64;

/** No agent answered; `message` says what was tried and what to do. Exit code 2. */
export class NoAgentError extends Error {
  override readonly name = "NoAgentError";
}

/** An agent refused; `code` is the API's, `answer` the whole JSON of its answer, if it was some. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: string;
  readonly answer: unknown;
  constructor(code: string, message: string, answer: unknown = null) {
    super(message);
    this.code = code;
    this.answer = answer;
  }
}

export interface ApiRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly json?: unknown;
  /** A body as it streams; called anew for each agent that is tried. */
  readonly stream?: () => AsyncIterable<Uint8Array>;
  /** Until the answer starts; beyond it the next agent is asked. */
  readonly answerTimeoutMs?: number;
  /** It changes what is the asked agent's own: no other agent is asked once one may have got it. */
  readonly isOwnWrite?: boolean;
}

interface WholeAnswer {
  readonly headers: Answer["headers"];
  readonly body: Uint8Array;
}

const errorShape = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
const membersShape = z.array(
  z.object({ name: z.string(), role: z.string(), api: z.string().nullable(), state: z.string() }),
);

export class ApiClient {
  /** The one that answers now is first. */
  #addresses: AgentAddress[];
  readonly #connections: Agent = connections();

  constructor(addresses: readonly AgentAddress[]) {
    this.#addresses = [...addresses];
  }

  /** Of the agent that is asked first. */
  get current(): string {
    return this.#addresses[0]?.address ?? "";
  }

  /** The JSON of an answer that is no error. */
  async json(asked: ApiRequest, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#ask(asked, signal);
    return JSON.parse(await readText(answer));
  }

  /** All of an answer that is no error. */
  async whole(asked: ApiRequest, signal: AbortSignal): Promise<WholeAnswer> {
    const answer = await this.#ask(asked, signal);
    return { headers: answer.headers, body: await readBytes(answer) };
  }

  /** True: 2xx, false: 404. */
  async exists(path: string, signal: AbortSignal): Promise<boolean> {
    try {
      await readBytes(await this.#ask({ method: "HEAD", path }, signal));
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === "not-found") return false;
      throw error;
    }
  }

  /** The body as it comes. Throws when the connection breaks or falls silent: ask again, through another agent. */
  async *bytes(
    path: string,
    options: { readonly isSilenceFine: boolean; readonly answerTimeoutMs?: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { isSilenceFine, answerTimeoutMs = SILENCE_MS } = options;
    const asked = { method: "GET", path, answerTimeoutMs } as const;
    const answer = await this.#ask(asked, signal, isSilenceFine ? 0 : SILENCE_MS);
    yield* answer.body;
  }

  /** One JSON value a line; null for the empty lines by which the agent says that it is there. */
  async *lines(asked: ApiRequest, signal: AbortSignal): AsyncGenerator<unknown> {
    const decoder = new TextDecoder();
    let rest = "";
    const answer = await this.#ask(asked, signal, SILENCE_MS);
    for await (const chunk of answer.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_CHARS_MAX) throw new Error("the agent sent a line without end");
      for (const line of lines) yield line === "" ? null : JSON.parse(line);
    }
  }

  /** Learns who else could answer, should this agent die. Failing to learn is no failure. */
  async learnAgents(signal: AbortSignal): Promise<void> {
    try {
      const members = membersShape.parse(await this.json({ method: "GET", path: "/v1/members" }, signal));
      for (const { name, role, api } of members) {
        const isKnown = this.#addresses.some(({ address }) => address === api);
        if (role !== "host" || api === null || isKnown || this.#addresses.length >= ADDRESSES_MAX) continue;
        this.#addresses.push({ address: api, name, isVerified: false });
      }
    } catch {
      // Then the one that we have must do.
    }
  }

  /** The agent asked first goes to the end of the line. */
  skipCurrent(): void {
    const [first, ...others] = this.#addresses;
    if (first !== undefined) this.#addresses = [...others, first];
  }

  async close(): Promise<void> {
    this.#connections.destroy();
  }

  /** Every agent once, until one answers; an agent that cannot reach whom it needs is passed over like a dead one. */
  async #ask(asked: ApiRequest, signal: AbortSignal, silenceMs: number = SILENCE_MS): Promise<Answer> {
    const failures: string[] = [];
    let unavailable: ApiError | undefined;
    for (const candidate of [...this.#addresses]) {
      try {
        await this.#verify(candidate, signal);
        const answer = await this.#send(candidate.address, asked, signal, silenceMs);
        if (answer.statusCode < 400) return answer;
        throw await toApiError(answer);
      } catch (error) {
        if (signal.aborted || (error instanceof ApiError && error.code !== "unavailable")) throw error;
        if (asked.isOwnWrite === true && !neverArrived(error))
          throw ownWriteFailure(candidate.address, error);
        if (error instanceof ApiError) unavailable ??= error;
        else failures.push(`${candidate.address} (${describeFailure(error)})`);
        this.skipCurrent();
      }
    }
    throw unavailable ?? new NoAgentError(describeNoAgent(failures));
  }

  /**
   * An address that another agent told is as *its* host reaches it: on ours somebody else may listen there. So it must
   * give the name it should have before it is asked anything.
   */
  async #verify(candidate: AgentAddress, signal: AbortSignal): Promise<void> {
    if (candidate.isVerified) return;
    const answer = await this.#send(
      candidate.address,
      { method: "GET", path: "/v1/health" },
      signal,
      SILENCE_MS,
    );
    const health = z.object({ name: z.string() }).safeParse(JSON.parse(await readText(answer)));
    if (!health.success || health.data.name !== candidate.name)
      throw new Error(`this is not ${candidate.name}`);
    this.#addresses = this.#addresses.map((other) =>
      other === candidate ? { ...other, isVerified: true } : other,
    );
  }

  #send(address: string, asked: ApiRequest, signal: AbortSignal, silenceTimeoutMs: number): Promise<Answer> {
    const isUrl = address.startsWith("http://");
    const question = {
      method: asked.method,
      url: new URL(asked.path, isUrl ? address : "http://localhost"),
      ...(isUrl ? {} : { socketPath: address }),
      ...bodyOf(asked),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      answerTimeoutMs: asked.answerTimeoutMs ?? SILENCE_MS,
      silenceTimeoutMs,
    };
    return exchange(this.#connections, question, signal);
  }
}

function bodyOf({ json, stream }: ApiRequest): { readonly body?: string | AsyncIterable<Uint8Array> } {
  if (json !== undefined) return { body: JSON.stringify(json) };
  return stream === undefined ? {} : { body: stream() };
}

async function readText(answer: Answer): Promise<string> {
  return Buffer.from(await readBytes(answer)).toString("utf8");
}

async function readBytes(answer: Answer): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function toApiError(answer: Answer): Promise<ApiError> {
  const text = await readText(answer);
  const json = parseOrNull(text);
  const parsed = errorShape.safeParse(json);
  if (parsed.success) return new ApiError(parsed.data.error.code, parsed.data.error.message, json);
  if (answer.statusCode === 404) return new ApiError("not-found", "not found");
  return new ApiError("internal", `the agent answered ${answer.statusCode}: ${text.slice(0, 200)}`);
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** No connection came about, so nothing was sent. */
function neverArrived(error: unknown): boolean {
  return ["ECONNREFUSED", "ENOENT", "EACCES", "ENOTFOUND", "no-connection"].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function ownWriteFailure(address: string, error: unknown): Error {
  if (error instanceof ApiError) return error;
  return new NoAgentError(
    `${address} broke off (${describeFailure(error)}): whether it wrote that is not known; look, or write it again`,
  );
}

function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ECONNRESET") return "other side closed";
  if (code === "ENOENT") return "no such socket";
  if (error instanceof ExchangeError && error.code === "silence") return "no answer in time";
  return error.message === "" ? code : error.message;
}

function describeNoAgent(failures: readonly string[]): string {
  return (
    `no agent reachable. Tried ${failures.join(", ")}. ` +
    "Is the agent running? Start a local cluster with `grapevine dev`, or say where an agent is with --api or GRAPEVINE_API"
  );
}
