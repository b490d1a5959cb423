// Durable map worker: the thread on which a DurableMap is written and synced: a slow disk stops no event loop.

import { runDiskProgram } from "./disk-program.ts";
import { type DurableMapChange, DurableMapFile, type DurableMapRow } from "./durable-map-file.ts";

export type DurableMapRequest =
  /** The rows are the parts of the answer. */
  | { readonly kind: "open"; readonly path: string; readonly owner: string }
  /** To a thread that followed one that died too: it opens the file itself. */
  | {
      readonly kind: "write";
      readonly path: string;
      readonly owner: string;
      readonly rows: readonly DurableMapChange[];
    }
  | { readonly kind: "close" };

let file: DurableMapFile | undefined;

runDiskProgram<DurableMapRequest, DurableMapRow, null>((request, giveRow) => {
  switch (request.kind) {
    case "open":
      file = DurableMapFile.open(request, giveRow);
      return null;
    case "write":
      file ??= DurableMapFile.open(request, () => undefined);
      file.write(request.rows);
      return null;
    case "close":
      file?.close();
      return null;
  }
});
