// Snapshot worker: the thread on which the snapshot's file is read, written and synced: a slow disk stops nobody else.

import { runDiskProgram } from "./disk-program.ts";
import {
  type OpenRequest,
  openSnapshot,
  type RawMark,
  type RawState,
  type SnapshotFile,
  type SnapshotPart,
} from "./snapshot-file.ts";

export type SnapshotRequest =
  /** `wantsStates`: what is in it, not only of whom. The states are the parts of the answer. */
  | ({ readonly kind: "open"; readonly wantsStates: boolean } & OpenRequest)
  | { readonly kind: "write"; readonly part: SnapshotPart }
  | { readonly kind: "close" };

export type SnapshotAnswer =
  | { readonly kind: "opened"; readonly marks: readonly RawMark[]; readonly setAside: string | null }
  | { readonly kind: "done" };

let file: SnapshotFile | undefined;

/** After a failure the file is closed: it must be opened anew. */
runDiskProgram<SnapshotRequest, RawState, SnapshotAnswer>((request, giveState) => {
  try {
    return answer(request, giveState);
  } catch (error) {
    file = undefined;
    throw error;
  }
});

function answer(request: SnapshotRequest, giveState: (state: RawState) => void): SnapshotAnswer {
  switch (request.kind) {
    case "open": {
      file?.close();
      const opened = openSnapshot(request, request.wantsStates ? giveState : () => undefined);
      file = opened.file;
      return { kind: "opened", marks: opened.marks, setAside: opened.setAside };
    }
    case "write":
      if (file === undefined) throw new Error("it is not open");
      file.write(request.part);
      return { kind: "done" };
    case "close":
      file?.close();
      return { kind: "done" };
  }
}
