// Every bound of the mesh and of what it carries, in one place. Relations between them are asserted at load.

/** A key: room for a prefix and a name. */
export const ENTRY_KEY_BYTES_MAX: number = 256;
/** A value: a VM's or an app's whole record fits, a log does not. */
export const ENTRY_VALUE_BYTES_MAX: number = 64 * 1024;
/** Live entries and tombstones of one owner. */
export const ENTRIES_PER_OWNER_MAX: number = 20_000;
/** Owners whose state is held. */
export const OWNERS_MAX: number = 2_000;
/** Owners that were forgotten and are remembered as such, so that no straggler brings them back; the oldest go first. */
export const FORGOTTEN_OWNERS_MAX: number = 4_000;
/** A state built aside that does not grow for this long is dropped: nobody is left who could complete it. */
export const ASIDE_IDLE_MS: number = 10_000;
/** Digest rounds of ours under way at once, so that many peers that come together are not all answered at once. */
export const ROUNDS_AT_ONCE_MAX: number = 3;
/** One delta on the wire; over it a delta is cut at a valid prefix and the rest is asked for. */
export const DELTA_BYTES_MAX: number = 512 * 1024;
/** One gossip message; larger changes travel by pull. Must stay far below gossipsub's 4 MiB. */
export const GOSSIP_BYTES_MAX: number = 128 * 1024;
/** One frame on the standing stream. */
export const FRAME_BYTES_MAX: number = 1024 * 1024;
/** What waits for one peer on its standing stream; over it the peer is marked for a sync. */
export const PEER_QUEUE_BYTES_MAX: number = 8 * 1024 * 1024;
/** The request of a call. */
export const CALL_REQUEST_BYTES_MAX: number = 1024 * 1024;
/** One chunk of a call's answer. */
export const CALL_CHUNK_BYTES_MAX: number = 256 * 1024;
/** An incarnation: milliseconds since 1970 for the next 100,000 years. Above it nobody could raise theirs any more. */
export const INCARNATION_MAX: number = 2 ** 52;
/** A start id: what Node draws at random at once, and a double holds. Never 0. */
export const START_ID_MAX: number = 2 ** 48 - 1;
/** A counter: one write a microsecond for a century. */
export const COUNTER_MAX: number = 2 ** 52;
/** Owners in one digest: each owner's state in force and the one built aside. */
export const DIGEST_ITEMS_MAX: number = 2 * OWNERS_MAX;
/** What the coalescing of gossip costs at most while the line is busy; measured: batches decide throughput, not latency. */
export const GOSSIP_COALESCE_MS: number = 4;
/**
 * How long who has a gossip message from its owner waits before it hands it on: until the owner has reached all that it is connected
 * to, also where many members share few cores, so that copies do not stand in its way; and spread, so that of two that would send
 * it to each other one is spared it. It is what a member without a link to the owner waits longer.
 */
export const HAND_ON_MIN_MS: number = 50;
export const HAND_ON_MAX_MS: number = 150;
/**
 * The share of those that hand it on where the owner could be connected to everybody. A link that is just down is then made up for by
 * one of 3 to 6 neighbours (19 of 20 times or more), else by anti-entropy, in a second.
 */
export const HAND_ON_SHARE: number = 0.5;
/** Anti-entropy with one random peer, jittered by half: what gossip lost is repaired within about this. */
export const ANTI_ENTROPY_INTERVAL_MS: number = 1_000;
/** gossipsub loses what is sent in the first ~30 ms of a connection (measured): a second sync picks that up. */
export const SETTLE_SYNC_MS: number = 150;
/** A digest or pull that is not answered in this time is given up; the next one may go out. */
export const ROUND_TIMEOUT_MS: number = 3_000;
/**
 * How often our incarnation is raised at once, and how far apart after that. Each peer may hold another history of ours
 * from before a lost disk; but a second process with our key raises against us for ever, and each turn costs everyone.
 */
export const RAISES_AT_ONCE_MAX: number = 8;
export const RAISE_INTERVAL_MS: number = 60_000;
/**
 * How long a member whose disk lost its incarnation hears what it wrote before, until it publishes: longer than a round to
 * the far side of the world. Whoever knows it later makes it raise its incarnation then.
 */
export const LEARN_MS: number = 1_000;
/** And where a peer has shown that there is more to hear: longer than a pull that is lost once and asked again. */
export const LEARN_OUTDONE_MS_MAX: number = 5_000;
/** How often it looks whether that has come. */
export const LEARN_LOOK_MS: number = 50;
/** Tombstones older than this are collected. Longer than any partition that should heal without a reset. */
export const TOMBSTONE_GRACE_MS: number = 24 * 60 * 60 * 1_000;
/** How fine the age of tombstones is known. */
export const COMPACTION_INTERVAL_MS: number = 10 * 60 * 1_000;
/** A peer id of an Ed25519 key has 52. */
export const OWNER_CHARS_MAX: number = 128;
/** A cluster's id: the peer id of its root key has 52. */
export const CLUSTER_ID_CHARS_MAX: number = 64;
/** A member's name for a service or a topic. */
export const SERVICE_NAME_CHARS_MAX: number = 64;
/** The error text that a failed call carries back. */
export const CALL_ERROR_CHARS_MAX: number = 1_024;
/** Writes that are waited for at once; over it a wait ends at once and names everybody. */
export const APPLIED_WAITS_MAX: number = 1_024;
/** How often who has not answered is asked again: only a full queue loses a question, so it need not be fast. */
export const APPLIED_REPEAT_MS: number = 1_000;
/** From a write to the end of its measurement: who has not said by then that it has it makes it lost. The last bucket ends there. */
export const CONVERGENCE_DEADLINE_MS: number = 30_000;
/** Writes of ours that are measured at once: some 270 a second behind a member that says nothing. About 150 bytes each. */
export const CONVERGENCE_WRITES_MAX: number = 8_192;
/**
 * How long a member gathers what it tells those whose state it follows, jittered by half. Longer than a change takes to go
 * round, so that measuring does not stand in its way; it tells how long ago it was, so the wait is in no measurement.
 */
export const FOLLOW_REPORT_MS: number = 100;
/** Steps of one owner in one such report; what comes beyond is told as one with the last. */
export const FOLLOW_STEPS_MAX: number = 64;
/** Calls that one peer may have running here; over it the stream is reset. */
export const CALLS_PER_PEER_MAX: number = 64;
/** Peers connected at once. libp2p's own default; a full mesh beyond it is not promised. */
export const CONNECTIONS_MAX: number = 300;
/** Dials under way at once, so that a cluster that starts together does not storm. */
export const DIALS_MAX: number = 16;
/**
 * One dial, at most, until its TCP connection is open. It bounds how late a peer is met again after a black hole: the dial that
 * was lost in it is followed by the next at once.
 */
export const DIAL_TIMEOUT_MS: number = 1_500;
/**
 * From then on, for Noise and Yamux: a round trip or two, and some milliseconds of CPU on both sides, which a machine on which a
 * whole cluster starts does not have at once. Beyond it a stopped process accepted in its kernel, and never answers.
 */
export const UPGRADE_TIMEOUT_MS: number = 5_000;
/** Redial backoff, doubled from the first to the last, jittered by half. The last bounds how late a peer that is back is seen. */
export const REDIAL_FIRST_MS: number = 50;
export const REDIAL_LAST_MS: number = 1_000;
/**
 * A link that is quiet both ways is pinged this often, jittered: 300 links cost 60 pings a second. With the pings that must
 * stay unanswered then, it bounds how late a dead peer is noticed that nobody talks to.
 */
export const KEEPALIVE_INTERVAL_MS: number = 5_000;
/** Ping of a link in doubt; measured: a stopped peer is noticed in 0.5-1.0 s by the first that goes unanswered. */
export const PING_INTERVAL_MS: number = 500;
/** Pings in a row without a sign of life until the connection is aborted: 3 s. Counted, not timed, so that our own stall blames nobody. */
export const PINGS_MISSED_MAX: number = 6;
/** Between two rounds of probes (SWIM's protocol period). Each member is probed four times a second by all others together. */
export const PROBE_INTERVAL_MS: number = 500;
/** Members probed in one interval: with one, whom nobody probes by chance goes unseen for twice as long. */
export const PROBES_PER_INTERVAL: number = 2;
/** For an answer, direct, and then once more through others: a busy event loop is late by a tenth of a second, not by half. */
export const PROBE_TIMEOUT_MS: number = 500;
/** Others that are asked to probe for us (SWIM's k). */
export const PROBE_RELAYS: number = 3;
/** What one peer may have us probe at once; over it requests are dropped: our own are bounded by the interval. */
export const RELAYED_PROBES_PER_PEER_MAX: number = 16;
/** Probes of ours that are under way; over it no new one begins. */
export const PROBES_MAX: number = 256;
/** Members that look for themselves when somebody is first accused, of all: enough confirmations, no crowd on the accused. */
export const CONFIRMERS: number = 8;
/**
 * What so many others hold against a member is not said by us too: one more than bring a suspicion down to its shortest. Each word
 * is gossip to all, and later another one that takes it back.
 */
export const ACCUSERS_ENOUGH: number = 5;
/** Accused members that are probed in one interval, those first whose turn is the longest ago. */
export const WATCHED_PROBES_MAX: number = 8;
/** Others that are probed when one becomes suspect: in a partition of a small cluster all of the other side are, at once. */
export const LOOK_AROUND_MEMBERS: number = 16;
/** At most so often: with many members some are always suspect to somebody, and each look is as many probes. */
export const LOOK_AROUND_INTERVAL_MS: number = 2_000;
/** One that was held dead is looked for this often, in case we were wrong: through others, if we have no link to it. */
export const DEAD_PROBE_INTERVAL_MS: number = 2_000;
/** A link that went down may be back at once: from then until others are asked about its peer. */
export const LINK_LOST_CHECK_MS: number = 150;
/** Shortest suspicion of who is silent, times log10 of the members, at least 1. With 16 members: 1.8 s. */
export const SILENT_SUSPICION_MS: number = 1_500;
/** Of whom the kernel refuses: time enough to object by gossip, should it run somewhere else. */
export const CLOSED_SUSPICION_MS: number = 600;
/** The longest suspicion, of one accuser, in shortest ones (Lifeguard's beta). */
export const SUSPICION_STRETCH: number = 6;
/** From the second accusation to a death, at least: two that err together must leave the accused time to object. */
export const OBJECTION_MS: number = 300;
/** How long one that was declared dead counts for the brake on mass death. */
export const MASS_DEATH_WINDOW_MS: number = 60_000;
/** How often we look how late our own event loop is. */
export const LAG_LOOK_INTERVAL_MS: number = 500;
/** What a member waits at its stop until all that are connected know that it leaves. */
export const LEAVE_MS: number = 300;
/** A lag of our own event loop that makes us doubt ourselves. */
export const LAG_DOUBT_MS: number = 250;
/** Accusations remembered, of all by all: a partition of a thousand in halves makes some tens of thousands. */
export const ACCUSATIONS_MAX: number = 100_000;
/** More voters make each commit slower and outlive no more than seven do: three may fail. */
export const VOTERS_MAX: number = 7;
/** `app/` and a name, `names`, `voters`. */
export const REGISTER_NAME_CHARS_MAX: number = 64;
/** For a commit: some tens of round trips to the far side of the world, or of syncs of a bad disk. After it its outcome is unknown. */
export const REGISTER_SWAP_MS: number = 5_000;
/** For a read at a majority. */
export const REGISTER_READ_MS: number = 3_000;
/** All records of a voter: 2,000 of the largest are above it, and no cluster has them. */
export const REGISTER_READ_BYTES_MAX: number = 64 * 1024 * 1024;
/** For a peer's word on which voter lists there are. */
export const VOTER_FETCH_MS: number = 2_000;
/** For a host that is named as a voter to be met: a cluster that starts together meets in a second or two. */
export const VOTER_JOIN_MS: number = 5_000;
/** Registers that one voter may show: apps that ever were, each some kilobytes of its memory. */
export const REGISTERS_MAX: number = 20_000;
/** Registers that are read or committed anew at a time, of many: a few kilobytes each on the way to each voter. */
export const REGISTERS_AT_ONCE: number = 32;
/** From a change to the look whether a voter has to publish a record: what is missing may be on its way. */
export const PUBLISH_LOOK_MS: number = 250;
/** Commits of one app that are told by gossip at once: more than the steps of a rollout that end together. After them one so often. */
export const PUBLISH_BURST: number = 10;
export const PUBLISH_REST_MS: number = 20;
/** How often the first voter that lives tries to settle a list that is not. */
export const SETTLE_LOOK_MS: number = 1_000;
/** What a restored register's epoch is raised by: above all that was committed and that nobody who is left has seen. */
export const RESTORE_EPOCH_GAP: number = 1_000;
/** And its voter list's number: above all lists that were made and that nobody who is left has seen. */
export const RESTORE_LIST_GAP: number = 1_000;
/** Memories of voters that one host keeps: of itself, and of those that it was before a restore. */
export const VOTER_SEATS_MAX: number = 8;
/** A register's question without an answer is asked again: a standing stream loses only what its queue has no room for. */
export const REGISTER_RESEND_MS: number = 200;
/** One rank's wait after a lost duel: longer than a commit takes on a disk of some milliseconds, so that the winner is done. */
export const DUEL_SLOT_MS: number = 15;
/** Between two looks at what the snapshot lacks: about how old the state is that a crash leaves. Less costs more syncs of the disk. */
export const SNAPSHOT_INTERVAL_MS: number = 250;
/** Entries in one transaction of the snapshot, but for its last owner, whose state is never cut. */
export const SNAPSHOT_BATCH_ENTRIES_MAX: number = 2_000;
/** What is copied to the snapshot's thread in one go, but for its last entry: a fraction of a millisecond of our event loop. */
export const SNAPSHOT_PART_BYTES_MAX: number = 256 * 1024;
/** A snapshot that cannot be written is tried again, after twice the time each time: somebody must make room first. */
export const SNAPSHOT_RETRY_FIRST_MS: number = 1_000;
export const SNAPSHOT_RETRY_LAST_MS: number = 60_000;
/** At a stop, for what the snapshot still lacks. A slow disk must not hold up the end. */
export const SNAPSHOT_STOP_MS: number = 2_000;
/** Entries of which it is remembered how they came here, the newest: some 150 bytes each, so 8 MB at most. */
export const ARRIVALS_MAX: number = 50_000;
/** A lag of our own event loop this long ago still counts as now: one look on time amid many that are late proves nothing. */
export const LAG_RECENT_MS: number = 1_000;
/** For so long it is kept how late our own event loop was: somebody who saw it stall asks within that. */
export const LAG_KEPT_MS: number = 10_000;
/** For one member to answer who looks for a fault. People wait for it, and a stopped one never does. */
export const INSPECT_TIMEOUT_MS: number = 2_000;
/** One member's answer to that: the digest of all owners, or entries: 50,000 with keys as they are usual, fewer with long ones. */
export const INSPECT_ANSWER_BYTES_MAX: number = 16 * 1024 * 1024;
/** Entries in one such answer, at most; what is beyond is said to be missing. */
export const INSPECT_ENTRIES_MAX: number = 50_000;
/** Bytes of values in one such answer. Beyond, entries come without theirs. */
export const INSPECT_VALUES_BYTES_MAX: number = 4 * 1024 * 1024;
/** Owners or entries in one chunk of it: packed in a millisecond or two of the event loop. */
export const INSPECT_CHUNK_ITEMS_MAX: number = 200;
/** Keys that one question may name. */
export const INSPECT_KEYS_MAX: number = 1_000;
/** Who seems to be behind is asked once more after this: what was on its way at the first look has arrived by then. */
export const INSPECT_AGAIN_MS: number = 250;
/** Of a member's own log, in memory, for a bug report: a thousand lines or so. */
export const LOG_KEPT_BYTES_MAX: number = 256 * 1024;
/** One part of what a member tells for a bug report. */
export const DEBUG_PART_BYTES_MAX: number = 1024 * 1024;

/** What waits for a gate that does not read, or for its agent: above it the link is given up. All records fit several times. */
export const LOCAL_LINK_QUEUE_BYTES_MAX: number = 128 * 1024 * 1024;

if (LOG_KEPT_BYTES_MAX > DEBUG_PART_BYTES_MAX)
  throw new Error("limits: a log that is kept must fit an answer");
if (ENTRY_VALUE_BYTES_MAX >= GOSSIP_BYTES_MAX || DELTA_BYTES_MAX >= FRAME_BYTES_MAX) {
  throw new Error("limits: an entry must fit a gossip message, a delta must fit a frame");
}
if (KEEPALIVE_INTERVAL_MS % PING_INTERVAL_MS !== 0) {
  throw new Error("limits: the keepalive interval must be whole ping intervals");
}
