// Get over socket: what an agent answers over its socket in the file system, whatever network it is in.

import { request } from "node:http";

export function getOverSocket<Value>(socketPath: string, path: string): Promise<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  const asked = request({ socketPath, path }, async (response) => {
    try {
      resolve(JSON.parse((await response.toArray()).join("")) as Value);
    } catch (error) {
      reject(error);
    }
  });
  asked.on("error", reject).end();
  return promise;
}
