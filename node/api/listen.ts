// Listen: where the API is reached: a unix socket in the state folder, for its owner alone, and a loopback port.

import { chmod, lstat, unlink } from "node:fs/promises";
import { createServer, type Server, ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Hono } from "hono";
import type { HostPort } from "../../mesh/index.ts";
import { API_CONNECTIONS_MAX } from "../limits.ts";
import type { ApiEnv } from "./ports.ts";

/** `address-taken` and `socket-taken`: another process has it, often another agent. `not-possible`: the system refused. Exit code 2. */
export type ListenCode = "address-taken" | "socket-taken" | "not-possible";

/** Nothing is listening any more; `message` says what to do. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: ListenCode;
  constructor(code: ListenCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ApiListenOptions {
  /** Loopback; port 0: the system chooses. */
  readonly api: HostPort;
  readonly socketFile: string;
}

export interface ApiListener {
  /** "http://127.0.0.1:7900". */
  readonly url: string;
  /** Ends every connection, followers included. */
  close(): Promise<void>;
}

/** `sun_path` of Linux less its NUL (unix(7)); macOS has 104. */
const SOCKET_PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;

/** A port of its own for `url` is known only after this: publish `HostEntry.api` then. */
export async function listenApi(app: Hono<ApiEnv>, options: ApiListenOptions): Promise<ApiListener> {
  const { api, socketFile } = options;
  await clearStaleSocket(socketFile);
  const servers = [apiServer(app), apiServer(app)] as const;
  const [tcp, socket] = servers;
  try {
    await listening(tcp, () => tcp.listen({ host: api.host, port: api.port }));
    await listening(socket, () => socket.listen({ path: socketFile }));
    await chmod(socketFile, 0o600);
  } catch (error) {
    await Promise.all(servers.map(closed));
    throw toListenError(error, options);
  }
  const { port } = tcp.address() as AddressInfo;
  const host = api.host.includes(":") ? `[${api.host}]` : api.host;
  return {
    url: `http://${host}:${port}`,
    close: async () => {
      await Promise.all(servers.map(closed));
    },
  };
}

/** Rejects with `ListenError` if `listenApi` would: for asking before anything is started that a second start would disturb. */
export async function assertApiIsFree({ api, socketFile }: ApiListenOptions): Promise<void> {
  await clearStaleSocket(socketFile);
  await assertAddressIsFree("api", api);
}

/** Rejects with `ListenError` if nobody can listen at what the configuration's `key` says. */
export async function assertAddressIsFree(key: string, address: HostPort): Promise<void> {
  const server = createServer();
  try {
    await listening(server, () => server.listen({ host: address.host, port: address.port }));
  } catch (error) {
    throw addressError(key, address, error);
  } finally {
    await closed(server);
  }
}

function apiServer(app: Hono<ApiEnv>): Server {
  const listener = getRequestListener((request, { outgoing }) => answer(app, request, outgoing), {
    overrideGlobalObjects: false,
  });
  const server = createServer((request, response) => {
    if (hasDotSegment(request.url ?? "")) refuseDotSegment(response);
    else void listener(request, response);
  });
  server.maxConnections = API_CONNECTIONS_MAX;
  return server;
}

/** A path with "." or "..", plain or encoded: the URL would be resolved, and a key with it would name another resource. */
function hasDotSegment(target: string): boolean {
  const [path = ""] = target.split("?");
  return path.split("/").some((part) => /^\.{1,2}$/.test(part.replaceAll(/%2e/gi, ".")));
}

function refuseDotSegment(response: ServerResponse): void {
  const message = 'a path has no "." or ".." in it';
  response.writeHead(400, { "content-type": "application/json", connection: "close" });
  response.end(JSON.stringify({ error: { code: "invalid", message } }));
}

/**
 * The adapter would end a body that failed on the way with the text of the error, as if that were the rest of it. Here the
 * connection breaks instead: the client knows that there was more, and asks again.
 */
async function answer(
  app: Hono<ApiEnv>,
  request: Request,
  outgoing: HttpBindings["outgoing"] | Http2Bindings["outgoing"],
): Promise<Response> {
  // The bindings of the adapter are not passed on: ours say what only our relay may say.
  const response = await app.fetch(request, {});
  if (response.body === null || !(outgoing instanceof ServerResponse)) return response;
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.flushHeaders();
  // A failure is the broken connection itself: whoever must know sees it there.
  pipeline(Readable.fromWeb(response.body), outgoing).catch(() => undefined);
  return RESPONSE_ALREADY_SENT;
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    listen();
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Removes the socket that a killed agent left; one that somebody answers on stays. */
async function clearStaleSocket(socketFile: string): Promise<void> {
  if (Buffer.byteLength(socketFile) > SOCKET_PATH_BYTES_MAX) {
    const message = `${socketFile}: longer than the ${SOCKET_PATH_BYTES_MAX} bytes that a unix socket's path may have: choose a shorter state_dir`;
    throw new ListenError("not-possible", message);
  }
  const answer = await tryConnect(socketFile);
  if (answer === "answered") throw socketTaken(socketFile);
  if (answer !== "ECONNREFUSED") return;
  if ((await lstat(socketFile)).isSocket()) await unlink(socketFile);
}

/** "answered", or the code of the error. */
function tryConnect(socketFile: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketFile });
    socket.once("connect", () => resolve("answered"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"));
    socket.once("connect", () => socket.destroy());
  });
}

function socketTaken(socketFile: string): ListenError {
  return new ListenError(
    "socket-taken",
    `${socketFile}: an agent answers there: stop it, or choose another state_dir`,
  );
}

function toListenError(error: unknown, { api, socketFile }: ApiListenOptions): ListenError {
  const { code, syscall, port, message } = error as NodeJS.ErrnoException & { readonly port?: number };
  if (syscall === "listen" && port !== undefined && port >= 0) return addressError("api", api, error);
  if (code === "EADDRINUSE") return socketTaken(socketFile);
  return new ListenError("not-possible", `the API cannot listen: ${message}`);
}

function addressError(key: string, { host, port }: HostPort, error: unknown): ListenError {
  const { code, message } = error as NodeJS.ErrnoException;
  const setting = `${key} = "${host.includes(":") ? `[${host}]` : host}:${port}"`;
  switch (code) {
    case "EADDRINUSE":
      return new ListenError(
        "address-taken",
        `${setting}: the port is taken: stop who has it, or choose another`,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new ListenError(
        "not-possible",
        `${setting}: this machine has no such address: give one of its own`,
      );
    case "EACCES":
      return new ListenError(
        "not-possible",
        `${setting}: this user may not listen there: choose a port from 1024`,
      );
    default:
      return new ListenError("not-possible", `${setting}: nobody can listen there: ${message}`);
  }
}
