// Acceptor worker: the thread on which a voter's file is written and synced: a slow disk stops no event loop.

import { runDiskProgram } from "../disk-program.ts";
import {
  AcceptorFile,
  type AcceptorIdentity,
  type AcceptorWrite,
  type OpenedAcceptor,
  type SlotRow,
} from "./acceptor-file.ts";

export type AcceptorDiskRequest =
  /** The rows are the parts of the answer. */
  | { readonly kind: "open"; readonly path: string; readonly identity: AcceptorIdentity }
  | { readonly kind: "write"; readonly write: AcceptorWrite }
  | { readonly kind: "close" };

let file: AcceptorFile | undefined;

runDiskProgram<AcceptorDiskRequest, SlotRow, OpenedAcceptor | null>((request, giveRow) => {
  switch (request.kind) {
    case "open": {
      const opened = AcceptorFile.open(request.path, request.identity, giveRow);
      file = opened.file;
      return opened.opened;
    }
    case "write":
      if (file === undefined) throw new Error("it is not open");
      file.write(request.write);
      return null;
    case "close":
      file?.close();
      return null;
  }
});
