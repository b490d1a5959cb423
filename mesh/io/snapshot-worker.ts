// Snapshot worker: the thread on which the snapshot's file is read, written and synced: a slow disk stops nobody else.
// One request, one answer, in order; while it opens, the states that it reads come before the answer.

import { parentPort } from "node:worker_threads";
import { messageOf } from "../result.ts";
import {
  type OpenRequest,
  openSnapshot,
  type RawMark,
  type RawState,
  type SnapshotFile,
  type SnapshotPart,
} from "./snapshot-file.ts";

export type SnapshotRequest =
  /** `wantsStates`: what is in it, not only of whom. */
  | ({ readonly kind: "open"; readonly wantsStates: boolean } & OpenRequest)
  | { readonly kind: "write"; readonly part: SnapshotPart }
  | { readonly kind: "close" };

export type SnapshotAnswer =
  | { readonly kind: "state"; readonly state: RawState }
  | { readonly kind: "opened"; readonly marks: readonly RawMark[]; readonly setAside: string | null }
  | { readonly kind: "done" }
  /** The file is closed. */
  | { readonly kind: "failed"; readonly reason: string };

const port = parentPort;
if (port === null) throw new Error("bug: not a thread");
let file: SnapshotFile | undefined;

port.on("message", (request: SnapshotRequest) => {
  tell(answer(request));
  if (request.kind === "close") port.close();
});

function answer(request: SnapshotRequest): SnapshotAnswer {
  try {
    switch (request.kind) {
      case "open":
        return open(request);
      case "write":
        if (file === undefined) return { kind: "failed", reason: "it is not open" };
        file.write(request.part);
        return { kind: "done" };
      case "close":
        file?.close();
        return { kind: "done" };
    }
  } catch (error) {
    file = undefined;
    return { kind: "failed", reason: messageOf(error) };
  }
}

function open(request: Extract<SnapshotRequest, { kind: "open" }>): SnapshotAnswer {
  file?.close();
  const give = (state: RawState): void => {
    if (request.wantsStates) tell({ kind: "state", state });
  };
  const opened = openSnapshot(request, give);
  file = opened.file;
  return { kind: "opened", marks: opened.marks, setAside: opened.setAside };
}

function tell(message: SnapshotAnswer): void {
  port?.postMessage(message);
}
