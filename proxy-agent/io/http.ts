// Http: Node's own, for who starts with it. Imported by its name each of its names is looked at, and behind one of them, WebSocket, stands
// a second client, which costs a start 40 ms of CPU and which nobody here uses.

import type * as Http from "node:http";

const http: typeof Http = process.getBuiltinModule("node:http");

export const createServer: typeof Http.createServer = http.createServer;
export const httpRequest: typeof Http.request = http.request;
export type ServerResponse = Http.ServerResponse;
export const ServerResponse: typeof Http.ServerResponse = http.ServerResponse;
export const STATUS_CODES: typeof Http.STATUS_CODES = http.STATUS_CODES;
