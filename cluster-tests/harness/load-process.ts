// Load process: a load client as a process of its own, for a network in which its tester is not. Begins at once; when its standard input
// ends it sends no more, and prints what became of each request as one line of JSON.

import { LoadClient, type LoadOptions } from "../../node/cli/demo/load-client.ts";

const client = new LoadClient(JSON.parse(process.argv[2] ?? "") as LoadOptions);
process.stdin.resume().once("end", async () => {
  const samples = await client.stop();
  process.stdout.write(`${JSON.stringify(samples)}\n`);
});
