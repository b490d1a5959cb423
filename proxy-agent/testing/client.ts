// A client for tests: node's own, with the answer read whole.

import { type Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { connect } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders: readonly string[];
  readonly trailers: IncomingMessage["trailers"];
  readonly body: string;
}

export interface Ask {
  readonly port: number;
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: RequestOptions["headers"];
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

/** One request. Rejects when the connection breaks before the answer is complete. */
export async function ask({
  port,
  host = "hello.localhost",
  body,
  headers,
  ...options
}: Ask): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // Without an agent one connection is for one request.
  const closing = options.agent === undefined ? { connection: "close" } : {};
  const request = httpRequest(
    { port, host: "127.0.0.1", headers: { host, ...closing, ...headers }, ...options },
    resolve,
  );
  request.on("error", reject);
  request.end(body);
  return readAnswer(await promise);
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const { statusCode: status = 0, headers, rawHeaders, trailers } = response;
  return { status, headers, rawHeaders, trailers, body: Buffer.concat(chunks).toString() };
}

/** Sends bytes as they are and returns all that comes back until the other side closes, or `isEnough`. */
export async function sendRaw(
  port: number,
  text: string,
  isEnough: (answer: string) => boolean = () => false,
): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk.toString("latin1");
    if (isEnough(answer)) socket.destroy();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(answer));
  socket.write(text, "latin1");
  return promise;
}
