// The front door of mesh: the shared truth and how it spreads. `node` and `proxy-agent` import from here only, or, who must be there
// at once, from words.ts and keys.ts, which are part of it.

export { ACCUSATION_PREFIX as SUSPECT_PREFIX } from "./core/accusation-entry.ts";
export type { ConvergenceView } from "./core/convergence.ts";
export { Histogram, type HistogramView } from "./core/histogram.ts";
export type { EntryDifference } from "./core/holdings.ts";
export { decodeMember as decodeMemberEntry, MEMBER_KEY } from "./core/member.ts";
export { askForRecords, askMember } from "./io/ask-member.ts";
export { createClusterRoot, signVoterList } from "./io/cluster-root.ts";
export {
  aboutProcess,
  askDebugPart,
  DEBUG_PARTS,
  type DebugPart,
  serveDebug,
} from "./io/debug-service.ts";
export { readIfThere, removeDurably, syncFolder, writeDurably } from "./io/durable-file.ts";
export { DurableMap } from "./io/durable-map.ts";
export { type Greeting, greet } from "./io/greet.ts";
export { whoHears } from "./io/hearing.ts";
export {
  inspectDifference,
  inspectEntries,
  inspectSync,
  type MemberSync,
} from "./io/inspect-members.ts";
export { LocalLink } from "./io/local-link.ts";
export { LocalServer } from "./io/local-server.ts";
export { logOutput } from "./io/log-output.ts";
export { makeFolder } from "./io/make-folder.ts";
export type { RunningMesh } from "./io/mesh-options.ts";
export { programVersion } from "./io/program-version.ts";
export { NoMajorityError } from "./io/register/ask-registers.ts";
export { encodeBackup as encodeRegistersBackup, type RegistersBackup } from "./io/register/backup.ts";
export type { CertifiedApps, RefusedRecord } from "./io/register/certified-apps.ts";
export { connectedVoters } from "./io/register/connected-voters.ts";
export { askLease, type LeaseAnswer, type LeaseQuestion } from "./io/register/lease-read.ts";
export { RecordBook } from "./io/register/record-book.ts";
export { assertHeldAt, encodeRegisterReadAnswer, takeRecords } from "./io/register/register-read.ts";
export { HostRegisters, Registers } from "./io/register/registers.ts";
export type { VoterDirectory } from "./io/register/voter-directory.ts";
export { startMesh } from "./io/start-mesh.ts";
export { makeStateFolder, StateFolderError } from "./io/state-folder.ts";
export { isLeaseOver, uptimeMs } from "./io/uptime.ts";
export { createVerifier } from "./io/verifier.ts";
export * from "./keys.ts";
export * from "./mesh.ts";
export * from "./records/ack.ts";
export * from "./records/app.ts";
export * from "./records/canary.ts";
export * from "./records/canary-message.ts";
export { claimedNames } from "./records/claimed-names.ts";
export * from "./records/clients.ts";
export { decodeCommittedApp } from "./records/committed-app.ts";
export * from "./records/demand-message.ts";
export { proveEntries, readEntryProof } from "./records/entry-proof.ts";
export * from "./records/fence.ts";
export * from "./records/gate.ts";
export * from "./records/home.ts";
export { idleAfterMsOf, isAsleep } from "./records/idle.ts";
export type { InspectedEntry } from "./records/inspection.ts";
export * from "./records/may-run.ts";
export * from "./records/members.ts";
export { type Claim, type ClaimedName, describeClaimedName } from "./records/names.ts";
export * from "./records/preview.ts";
export * from "./records/proxy-status.ts";
export { appNameShape, countShape, memberNameShape, vmNameShape } from "./records/shapes.ts";
export * from "./records/step-report.ts";
export * from "./records/vm.ts";
export * from "./register/register.ts";
export { encodeCommitted } from "./register/register-codec.ts";
export { decodeLink as decodeVoterLink, encodeLink as encodeVoterLink } from "./register/voter-chain.ts";
export { majorityOf, type Voter, type VoterList } from "./register/voter-list.ts";
export { encodeVoterList } from "./register/voter-list-codec.ts";
export * from "./words.ts";
