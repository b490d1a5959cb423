// Retry: may a request that failed be sent again? `executed-once`: what is not idempotent ran once or was reported failed.

export interface Failure {
  /** Bytes of the request left towards the VM, or may have. */
  readonly sent: boolean;
  /** Bytes of its answer came. */
  readonly responded: boolean;
  /** It was given all the time that an answer may take: whoever has it may still be at it. */
  readonly timedOut: boolean;
}

export interface RetryRequest {
  readonly method: string;
  readonly hasBody: boolean;
}

/** Methods that may be repeated without being asked (RFC 9110 section 9.2.2), of those that carry no body. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * - `again`: nothing was sent, so that nothing can run twice.
 * - `once-more`: it may have run and may run again; a second break is told to the client.
 * - `give-up`: it may have run and must not run twice, its answer has begun, or its time is over.
 */
export function decideRetry(
  failure: Failure,
  request: RetryRequest,
  brokenBefore: number,
): "again" | "once-more" | "give-up" {
  if (failure.responded) return "give-up";
  if (!failure.sent) return "again";
  if (failure.timedOut) return "give-up";
  return isRepeatable(request) && brokenBefore === 0 ? "once-more" : "give-up";
}

export function isRepeatable({ method, hasBody }: RetryRequest): boolean {
  return REPEATABLE.has(method) && !hasBody;
}
