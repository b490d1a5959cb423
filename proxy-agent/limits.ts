// Every bound of the proxy agent, in one place. Relations between them are asserted at load.

/** A connect to a VM: a LAN answers within a millisecond; above this its host is gone and another endpoint is better. */
export const CONNECT_TIMEOUT_MS: number = 1_000;
/** Idle upstream connections without a hint of the server: below the shortest default that servers have (gunicorn: 2 s). */
export const UPSTREAM_IDLE_MS: number = 1_500;
/** The same, of those for requests that must not run twice, until the server's first answer said what it promises: undici's least. */
export const UPSTREAM_IDLE_ONCE_MS: number = 1;
/** Idle upstream connections of a server that promises longer ("Keep-Alive: timeout=5"). */
export const UPSTREAM_IDLE_HINTED_MAX_MS: number = 30_000;
/** How long before the promised time we let go: the server's close may be on its way to us. */
export const UPSTREAM_IDLE_MARGIN_MS: number = 1_000;
/** From the request sent to the first byte of its answer; longer is a VM that hangs. 504. */
export const ANSWER_TIMEOUT_MS: number = 300_000;
/** Connections to one endpoint, of each of its two pools. What exceeds it waits for one to become free. */
export const ENDPOINT_CONNECTIONS_MAX: number = 1_024;
/** Requests of one endpoint, running and waiting for a connection. Above it: 503. */
export const ENDPOINT_REQUESTS_MAX: number = 8_192;

/** Endpoints that one request tries until it pauses: with every one of them down, a request must not become a storm. */
export const TRIES_BEFORE_PAUSE_MAX: number = 8;
/** Tries of one request in all, however often its app's routes change meanwhile: 8 before each of the pauses that 5 s hold. */
export const TRIES_MAX: number = 100;
/**
 * From the arrival of a request, or its last wait for a gate, to its last attempt: a VM that restarts is back by then, a client has not
 * given up.
 */
export const RETRY_TIME_MAX_MS: number = 5_000;
/** First pause once every endpoint refused; doubled each time. Newer routes of the app end a pause at once. */
export const RETRY_PAUSE_FIRST_MS: number = 25;
export const RETRY_PAUSE_LAST_MS: number = 800;
/**
 * From the arrival of a request to its last attempt, while a gate that it may go through is away: a gate that is told to stop finishes
 * what runs for `STOP_TIMEOUT_MS` before its supervisor starts it anew, and a start takes 0.3 s, some seconds on a machine with too much
 * to do. Most clients wait so long; one that does not ends the wait by leaving.
 */
export const GATE_AWAY_MAX_MS: number = 30_000;
/**
 * Times that a request which may run twice is sent again since the connection to a gate broke: a gate that is killed closes its
 * connections one by one and its listener among them, so that what goes there anew at once can break again.
 */
export const GATE_BREAKS_MAX: number = 3;
/** Between two dials of a gate that is away, one for all requests that wait for it; doubled each time. */
export const GATE_DIAL_PAUSE_FIRST_MS: number = 10;
export const GATE_DIAL_PAUSE_LAST_MS: number = 100;
/** Requests that pause so at the same time. Above it they fail at once. */
export const RETRY_WAITERS_MAX: number = 4_096;
/** An endpoint that could not be dialled is asked last for so long, unless nobody else is left. */
export const SUSPECT_MS: number = 1_000;

/** Idle connections of clients. */
export const CLIENT_IDLE_MS: number = 75_000;
/** A request's head must be there; above CLIENT_IDLE_MS, so that it never ends an idle connection. */
export const CLIENT_HEAD_MS: number = 80_000;
/** Requests of one client connection that wait for their answers; browsers send one at a time. Above it: 503, and the end. */
export const CLIENT_PIPELINED_MAX: number = 64;
/** Client connections; above it new ones are closed. */
export const CLIENT_CONNECTIONS_MAX: number = 20_000;
/** After an answer that came before its request's body ended, the rest is read and thrown away for so long. */
export const LINGER_MS: number = 5_000;
/** Body bytes read ahead of the upstream. */
export const BODY_BUFFER_BYTES: number = 64 * 1024;
/**
 * `replayBytesMax`: of a body that goes through a gate at most so much leaves before the gate has claimed or refused it, and is kept
 * until then. More: fewer bodies wait for a word of the gate; so much memory for each request that waits.
 */
export const REPLAY_BYTES_MAX: number = 64 * 1024;
/** Times that a request is sent again because a gate or its proxy went by an older record; each brings a newer one. */
export const GATE_CATCH_UPS_MAX: number = 20;
/** A word with a gate about a record, or a probe: it dials a VM within CONNECT_TIMEOUT_MS. */
export const GATE_ERRAND_TIMEOUT_MS: number = 3_000;
/** On SIGTERM what runs may finish for so long. */
export const STOP_TIMEOUT_MS: number = 10_000;
/** On SIGTERM idle clients are kept for so long: a request of theirs may be on its way. It is answered "Connection: close". */
export const STOP_IDLE_MS: number = 500;

/** VMs that left an app's table and whose last dispatch and cut counts are still told. The oldest are forgotten first. */
export const LEFT_VMS_PER_APP_MAX: number = 32;
/** Deleted VMs of which is remembered that they were. The oldest are forgotten first, unless a record names them. */
export const DELETED_VMS_MAX: number = 2_000;
/** Apps in one ack message: what a voter takes is bounded too. */
export const ACKS_PER_MESSAGE_MAX: number = 200;
/** One ack message: far below a frame, and above what a single app can say. */
export const ACK_MESSAGE_BYTES_MAX: number = 256 * 1024;
/** Acks are states and repeated: while something is unsettled, and otherwise (a voter that restarted forgot them). */
export const ACK_UNSETTLED_MS: number = 500;
export const ACK_SETTLED_MS: number = 2_000;
/** Counts are told so often while a canary bakes: a bad release is seen within this, and 2 KB a second for an app are no load. */
export const CANARY_TELL_MS: number = 500;
/** Dials of the verifier at the same time, and the pauses between two of one endpoint. */
export const VERIFY_DIALS_MAX: number = 64;
export const VERIFY_PAUSE_FIRST_MS: number = 100;
export const VERIFY_PAUSE_LAST_MS: number = 2_000;
/** Hostname shown in an answer or a log. */
export const SHOWN_HOST_CHARS_MAX: number = 100;
/** Each thing that an attempt at admission waits for; and the pause before the next attempt. A voter reads a majority within 3 s, or says that it cannot. */
export const ADMISSION_STEP_MS: number = 5_000;
export const ADMISSION_PAUSE_MS: number = 250;
/** Hosts asked for the voters in one attempt, while gossip has not told of any. */
export const VOTER_LIST_ASKS_MAX: number = 8;
/** Hosts that left are routed to as before for so long: an agent that is started anew must not be seen by clients. */
export const LEFT_ROUTED_MS: number = 10_000;
/** On SIGTERM, for the voters to learn that we left. */
export const DEREGISTER_TIMEOUT_MS: number = 1_000;
/** While it does not succeed, one log line so often; the first after the time that a start takes anyway. */
export const ADMISSION_QUIET_MS: number = 1_000;
export const ADMISSION_LOG_MS: number = 3_000;
/** What outlives its VM's drain is cut by each proxy; a gate cuts it so much later, if a proxy that hears nothing did not. */
export const GATE_CUT_MARGIN_MS: number = 1_000;
/** A gate whose disk fails tries again so often, and confirms nothing meanwhile. */
export const GATE_DISK_PAUSE_MS: number = 1_000;
/** For an agent to say what it knows of an app's VMs: it answers in the turn in which it reads the question. */
export const GATE_ENTRIES_TIMEOUT_MS: number = 1_000;
/** Links of the voter chain that go with a record: each change of the voters is two. */
export const GATE_LINKS_MAX: number = 10_000;
/** Heads of requests at a gate: twice what node lets clients send to a proxy. */
export const GATE_HEAD_BYTES_MAX: number = 32 * 1024;
/** Headers that a gate remembers as it read them; above it all are forgotten. In use are as many as there are VMs, twice while records change. */
export const GATE_HEADERS_KEPT_MAX: number = 1_000;
/** A record that is handed in, with the links that prove its voters. An entry has 64 KiB at most; a link is some hundred bytes. */
export const GATE_HAND_IN_BYTES_MAX: number = 4 * 1024 * 1024;
/** Of them at the same time, each for `GATE_ERRAND_TIMEOUT_MS`: of more a proxy is told no, and asks again once its request was refused anew. */
export const GATE_HAND_INS_MAX: number = 32;
/** What a gate answers itself: a record at most, or the links. */
export const GATE_ANSWER_BYTES_MAX: number = 4 * 1024 * 1024;
/** Between two tries of a gate to reach its agent. */
export const GATE_LINK_PAUSE_FIRST_MS: number = 50;
export const GATE_LINK_PAUSE_LAST_MS: number = 1_000;
/** Proxies of one host that send requests to its VMs themselves. Of more the others go through the gate. */
export const ARMS_MAX: number = 16;
/** A gate that cannot see by a connection whether an arm's process is there looks again so often; nothing is confirmed meanwhile. */
export const ARM_LOOK_MS: number = 500;
/** Each voter that is asked for the record that a client has seen the work of: it reads a majority within that, or another one is asked. */
export const CATCH_UP_STEP_MS: number = 2_000;
/** Between two askings of one app. */
export const CATCH_UP_PAUSE_MS: number = 50;
/** Gates that are asked beside the voters: each has what it goes by. */
export const CATCH_UP_GATES_MAX: number = 8;
/** Requests that wait so at the same time. Above it: 503 at once. */
export const CATCH_UP_WAITERS_MAX: number = 4_096;
/**
 * Once a hold is lifted so many of its requests go at once, one more with each that ended, and twice as many after each step: ten thousand are
 * on their way within a second, and a VM that just started is not met by all of them before it answered any.
 */
export const HOLD_RELEASE_FIRST: number = 64;
export const HOLD_RELEASE_STEP_MS: number = 100;
/**
 * A proxy that keeps requests asks the gates and the voters whether the hold is over: what lifted it may not reach it by the mesh. The first
 * time when the mesh itself would have mended what it lost: a voter reads a majority for each that asks, in the very moment in which others
 * commit what all of them wait for. Doubled each time.
 */
export const HOLD_ASK_FIRST_MS: number = 1_000;
export const HOLD_ASK_LAST_MS: number = 2_000;
/** A client of a WebSocket that was told of a restart answers within that, or its connection is closed: who is held waits for it. */
export const RESTART_CLOSE_MS: number = 1_000;
/** Of the body of a request that waits: it is not read before it is sent on, but for what the socket's buffers took of it. */
export const HOLD_BODY_BYTES_MAX: number = 64 * 1024;
/** A gate tells its agent its counters so often. */
export const GATE_COUNTERS_MS: number = 2_000;

if (CLIENT_HEAD_MS <= CLIENT_IDLE_MS) {
  throw new Error("limits: heads must be allowed longer than idle connections live");
}
if (GATE_ERRAND_TIMEOUT_MS <= CONNECT_TIMEOUT_MS) {
  throw new Error("limits: a gate must have the time to dial a VM for who asks it to");
}
if (GATE_AWAY_MAX_MS <= STOP_TIMEOUT_MS + RETRY_TIME_MAX_MS) {
  throw new Error("limits: a gate that stops and starts again must be waited for");
}
if (GATE_ERRAND_TIMEOUT_MS <= GATE_ENTRIES_TIMEOUT_MS) {
  throw new Error("limits: a gate must have the time to ask its agent for who asks it");
}
if (CONNECT_TIMEOUT_MS * 2 > RETRY_TIME_MAX_MS) {
  throw new Error("limits: a dial that timed out must leave time for another");
}
