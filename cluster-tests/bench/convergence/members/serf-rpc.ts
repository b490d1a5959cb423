// Serf's RPC: a header and a body in msgpack for each request and answer. Strings stand for bytes, as in the old msgpack that it speaks.

import type { Socket } from "node:net";
import { Packr, UnpackrStream } from "msgpackr";

interface Header {
  readonly Seq: number;
  readonly Error: string;
}

interface Waiting {
  /** A body follows the header. */
  readonly hasBody: boolean;
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Listener = (payload: string) => void;

const packr = new Packr({ useRecords: false });

export class SerfRpc {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<number, Listener>();
  #serial = 0;
  #header: Header | undefined;

  static async open(socket: Socket): Promise<SerfRpc> {
    const rpc = new SerfRpc(socket);
    await rpc.#request("handshake", { Version: 1 }, { hasBody: false });
    return rpc;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    const values = new UnpackrStream({ useRecords: false, mapsAsObjects: true });
    socket.pipe(values).on("data", (value: unknown) => this.#hear(value));
    socket.once("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("serf closed its RPC connection"));
    });
  }

  async join(address: string): Promise<void> {
    await this.#request("join", { Existing: [address], Replay: false }, { hasBody: true });
  }

  async aliveMembers(): Promise<number> {
    const body = await this.#request("members", undefined, { hasBody: true });
    const { Members } = body as { Members: readonly { readonly Status: string }[] };
    return Members.filter(({ Status }) => Status === "alive").length;
  }

  /** Resolves when the agent has taken it. */
  async event(name: string, payload: string): Promise<void> {
    await this.#request("event", { Name: name, Payload: payload, Coalesce: false }, { hasBody: false });
  }

  /** `type`: "user:NAME". */
  async stream(type: string, listener: Listener): Promise<void> {
    const serial = this.#serial + 1;
    this.#listeners.set(serial, listener);
    await this.#request("stream", { Type: type }, { hasBody: false });
  }

  close(): void {
    this.#socket.destroy();
  }

  #request(
    command: string,
    body: object | undefined,
    { hasBody }: Pick<Waiting, "hasBody">,
  ): Promise<unknown> {
    this.#serial += 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#serial, { hasBody, resolve, reject });
    const head = packr.pack({ Command: command, Seq: this.#serial });
    this.#socket.write(body === undefined ? head : Buffer.concat([head, packr.pack(body)]));
    return promise;
  }

  #hear(value: unknown): void {
    const header = this.#header;
    if (header === undefined) this.#head(value as Header);
    else {
      this.#header = undefined;
      const waiting = this.#waiting.get(header.Seq);
      if (waiting === undefined)
        this.#listeners.get(header.Seq)?.(textOf((value as { Payload: unknown }).Payload));
      else this.#settle(header.Seq, waiting, value);
    }
  }

  #head(header: Header): void {
    const waiting = this.#waiting.get(header.Seq);
    if (header.Error !== "") {
      this.#waiting.delete(header.Seq);
      waiting?.reject(new Error(`serf: ${header.Error}`));
    } else if (waiting !== undefined && !waiting.hasBody) this.#settle(header.Seq, waiting, undefined);
    else this.#header = header;
  }

  #settle(serial: number, waiting: Waiting, body: unknown): void {
    this.#waiting.delete(serial);
    waiting.resolve(body);
  }
}

function textOf(payload: unknown): string {
  return typeof payload === "string" ? payload : Buffer.from(payload as Uint8Array).toString("latin1");
}
