// Upstreams: pools of keep-alive connections for each endpoint. Made at the first request, closed once the endpoint left
// the table and nothing of it runs any more, so that a VM that stops finds no idle connection of ours.
//
// A server may close an idle connection in the moment in which a request is written to it, and nobody can tell then whether
// it ran. What may run twice is asked again. What must not gets a connection that the server promised to keep ("Keep-Alive:
// timeout=5"), or a new one: hence a second pool, whose connections end with their request unless the server promises.

import { type Dispatcher, Pool } from "undici";
import type { VmName } from "../../mesh/index.ts";
import {
  describeAddress,
  type Endpoint,
  endpointKey,
  type RouteTable,
  reachedEndpoints,
} from "../core/route-table.ts";
import {
  ANSWER_TIMEOUT_MS,
  CONNECT_TIMEOUT_MS,
  ENDPOINT_CONNECTIONS_MAX,
  ENDPOINT_REQUESTS_MAX,
  UPSTREAM_IDLE_HINTED_MAX_MS,
  UPSTREAM_IDLE_MARGIN_MS,
  UPSTREAM_IDLE_MS,
  UPSTREAM_IDLE_ONCE_MS,
} from "../limits.ts";

interface Upstream {
  readonly vm: VmName;
  /** Its connections lead to the VM's gate. */
  readonly isGated: boolean;
  /** Each made at its first request. */
  readonly pools: { kept?: Pool; once?: Pool };
  /** Its last answer said how long it keeps an idle connection; null: none came yet. */
  promises: boolean | null;
  /** Requests that undici has not ended yet, those included that wait for a connection. */
  requests: number;
  isRouted: boolean;
}

export class Upstreams {
  readonly #upstreams = new Map<string, Upstream>();

  /**
   * False: this endpoint has too many requests already; nothing was sent. `handler` is told all else. `once`: the request must
   * not meet a connection that the server is about to close.
   */
  dispatch(
    endpoint: Endpoint,
    { once, ...options }: Dispatcher.DispatchOptions & { readonly once: boolean },
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    const key = endpointKey(endpoint);
    const upstream = this.#upstreams.get(key) ?? this.#open(key, endpoint);
    upstream.isRouted = true;
    if (upstream.requests >= ENDPOINT_REQUESTS_MAX) return false;
    upstream.requests += 1;
    const use = once ? "once" : "kept";
    upstream.pools[use] ??= openPool(endpoint, once ? UPSTREAM_IDLE_ONCE_MS : UPSTREAM_IDLE_MS);
    const reset = once && upstream.promises === false;
    const observer: Observer = {
      onHead: (isPromise) => {
        // To a request that ends its connection nothing is promised.
        if (!reset) upstream.promises = isPromise;
      },
      onEnd: () => this.#ended(key, upstream),
    };
    upstream.pools[use].dispatch(reset ? { ...options, reset } : options, observed(handler, observer));
    return true;
  }

  adopt(table: RouteTable): void {
    const routed = new Set<string>();
    const gated = new Set<VmName>();
    for (const route of table.apps.values())
      for (const endpoint of reachedEndpoints(route)) {
        routed.add(endpointKey(endpoint));
        if (endpoint.isGated) gated.add(endpoint.vm);
      }
    for (const [key, upstream] of this.#upstreams) {
      // Past its gate to a VM leads an arm's right, which is withdrawn by `leave`.
      upstream.isRouted = routed.has(key) || (!upstream.isGated && gated.has(upstream.vm));
      this.#closeIfOver(key, upstream);
    }
  }

  /** Nothing more goes to these VMs, unless it is dispatched later. */
  leave(vms: ReadonlySet<VmName>): void {
    for (const [key, upstream] of this.#upstreams) {
      if (!vms.has(upstream.vm)) continue;
      upstream.isRouted = false;
      this.#closeIfOver(key, upstream);
    }
  }

  async stop(): Promise<void> {
    const pools = [...this.#upstreams.values()].flatMap(poolsOf);
    this.#upstreams.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #open(key: string, { vm, isGated }: Endpoint): Upstream {
    const upstream: Upstream = { vm, isGated, pools: {}, promises: null, requests: 0, isRouted: true };
    this.#upstreams.set(key, upstream);
    return upstream;
  }

  #ended(key: string, upstream: Upstream): void {
    upstream.requests -= 1;
    this.#closeIfOver(key, upstream);
  }

  #closeIfOver(key: string, upstream: Upstream): void {
    if (upstream.isRouted || upstream.requests > 0 || this.#upstreams.get(key) !== upstream) return;
    this.#upstreams.delete(key);
    // Closing waits for nothing (no request is left); a failure would concern connections that are gone anyway.
    for (const pool of poolsOf(upstream)) pool.close().catch(() => undefined);
  }
}

function poolsOf({ pools: { kept, once } }: Upstream): readonly Pool[] {
  return [kept, once].filter((pool) => pool !== undefined);
}

function openPool(endpoint: Endpoint, idleMs: number): Pool {
  return new Pool(`http://${describeAddress(endpoint)}`, {
    connections: ENDPOINT_CONNECTIONS_MAX,
    pipelining: 1,
    allowH2: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: UPSTREAM_IDLE_HINTED_MAX_MS,
    keepAliveTimeoutThreshold: UPSTREAM_IDLE_MARGIN_MS,
    headersTimeout: ANSWER_TIMEOUT_MS,
    // An event stream may be silent for hours; its client or its VM ends it.
    bodyTimeout: 0,
  });
}

interface Observer {
  /** An answer has begun; its server says how long it keeps an idle connection, or does not. */
  readonly onHead: (isPromise: boolean) => void;
  /** Called once, after the handler's last event. */
  readonly onEnd: () => void;
}

function observed(handler: Dispatcher.DispatchHandler, observer: Observer): Dispatcher.DispatchHandler {
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    observer.onEnd();
  };
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onResponseStarted: () => handler.onResponseStarted?.(),
    onBodySent: (chunk) => handler.onBodySent?.(chunk),
    onRequestSent: () => handler.onRequestSent?.(),
    onResponseStart: (controller, status, headers, message) => {
      if (status >= 200) observer.onHead(headers["keep-alive"] !== undefined);
      handler.onResponseStart?.(controller, status, headers, message);
    },
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => {
      handler.onResponseEnd?.(controller, trailers);
      end();
    },
    onResponseError: (controller, error) => {
      handler.onResponseError?.(controller, error);
      end();
    },
  };
}
