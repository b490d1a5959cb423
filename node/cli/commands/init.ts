// init: makes a cluster: its root key and the id by which members know each other.

import { createClusterRoot } from "../../../mesh/index.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { print, printJson } from "../session.ts";

export async function init(folder: string, options: { readonly json?: boolean }): Promise<ExitCode> {
  const made = await createClusterRoot(folder);
  if (!made.ok) {
    process.stderr.write(`grapevine init: ${made.error}\n`);
    if (options.json === true)
      printJson({ error: { code: "invalid", message: made.error }, exitCode: EXIT.usage });
    return EXIT.usage;
  }
  const { id, keyFile, clusterFile } = made.value;
  if (options.json === true) printJson({ id, keyFile, clusterFile });
  else
    print(
      `Put this line into the configuration of every member:\n\ncluster = "${id}"\n\n${keyFile} is the cluster's root key: keep it off the hosts, and keep it secret.`,
    );
  return EXIT.done;
}
