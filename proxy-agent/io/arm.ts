// Arm: this proxy sends requests to VMs of its own host itself, by rights that the gate of that host grants, and counts for it what
// runs. Without rights, which is how it begins and what the end of its link leaves, all goes through the gate as anybody's does.

import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import type { Logger } from "pino";
import { type AppName, encodeRecord, type MemberName, type VmName, type VmPlace } from "../../mesh/index.ts";
import { type FromArm, markOf, type ToArm, toArmShape } from "../core/arm-messages.ts";
import type { Endpoint } from "../core/route-table.ts";
import type { Flight } from "./flights.ts";
import { KeptLink } from "./kept-link.ts";
import { networkOf } from "./network.ts";

export interface ArmOptions {
  readonly cluster: string;
  readonly proxy: MemberName;
  /** `arms.sock` in the state folder of the host's gate. */
  readonly gateSocket: string;
}

export interface ArmDeps {
  /** The gate goes by this record of the app: so may we. */
  readonly onRecord: (app: AppName, record: Uint8Array) => void;
  /** Nothing more goes to these VMs by a connection of our own. */
  readonly onWithdrawn: (vms: ReadonlySet<VmName>) => void;
  readonly logger: Logger;
}

interface Granted {
  readonly epoch: number;
  /** As endpoints that are dialled at the VM itself. */
  readonly vms: ReadonlyMap<VmName, VmPlace>;
}

/** One request that goes to its VM itself. */
export interface ArmFlight {
  /** At the VM's own address. */
  readonly endpoint: Endpoint;
  /** Nothing was sent yet: may it be? Asked in the breath in which it is. */
  readonly isGranted: () => boolean;
  /** It is over. Once. */
  readonly end: () => void;
}

export class Arm {
  readonly #options: ArmOptions;
  readonly #deps: ArmDeps;
  readonly #mark: string;
  readonly #markServer: Server;
  readonly #watchers = new Set<Socket>();
  readonly #granted = new Map<AppName, Granted>();
  readonly #flights = new Map<AppName, Map<VmName, Set<Flight>>>();
  /** Endpoints made of places, so that a request makes none. */
  readonly #direct = new WeakMap<Endpoint, { readonly place: VmPlace; readonly endpoint: Endpoint }>();
  readonly #link: KeptLink<ToArm>;
  #claimed = 0;

  constructor(options: ArmOptions, deps: ArmDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#mark = markOf(options.proxy, randomBytes(4).toString("hex"));
    // Who holds a connection learns by its end that we are gone: we end none.
    this.#markServer = createServer({ allowHalfOpen: true }, (socket) => {
      this.#watchers.add(socket);
      socket.on("error", () => undefined);
      // The gate that held it is gone itself.
      socket.once("end", () => socket.destroy());
      socket.once("close", () => this.#watchers.delete(socket));
      socket.resume();
    });
    const lostText = "gate of this host not reached: requests go as to any other host";
    this.#link = new KeptLink(
      { socketFile: options.gateSocket, shape: toArmShape, lostText, logger: deps.logger },
      {
        prepare: () => this.#leaveMark(),
        onOpened: () => this.#attach(),
        onMessage: (message) => this.#hear(message),
        // No right is used any more; the gate counts on it only once we say hello again.
        onLost: () => this.#withdrawAll(),
      },
    );
  }

  start(): void {
    this.#link.start();
  }

  /** VMs that requests may be sent to from here. */
  get vms(): number {
    return [...this.#granted.values()].reduce((sum, { vms }) => sum + vms.size, 0);
  }

  /** Tries that went to a VM itself. */
  get claimed(): number {
    return this.#claimed;
  }

  /** Null: this one goes through the gate. Else it is in flight from this breath on, and `end` must follow. */
  claim(flight: Flight, epoch: number): ArmFlight | null {
    const { endpoint } = flight;
    const { app, vm } = endpoint;
    const granted = this.#granted.get(app);
    const place = granted?.epoch === epoch ? granted.vms.get(vm) : undefined;
    if (place === undefined || !endpoint.isGated) return null;
    const flights = this.#flightsTo(app, vm).add(flight);
    this.#claimed += 1;
    return {
      endpoint: this.#endpointAt(endpoint, place),
      isGranted: () => this.#granted.get(app)?.vms.get(vm) === place,
      end: () => {
        flights.delete(flight);
        if (flights.size === 0) this.#emptied(app, vm);
      },
    };
  }

  /** What ran has ended. */
  async stop(): Promise<void> {
    this.#withdrawAll();
    this.#link.stop("the proxy stops");
    const closed = Promise.withResolvers<void>();
    // Last: from now on we count as gone.
    if (this.#markServer.listening) this.#markServer.close(() => closed.resolve());
    else closed.resolve();
    for (const socket of this.#watchers) socket.destroy();
    await closed.promise;
  }

  /** Before the first right: by it the gate's later lives know that we are there. */
  async #leaveMark(): Promise<void> {
    if (this.#markServer.listening) return;
    const folder = await realpath(path.dirname(this.#options.gateSocket));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#markServer.once("error", reject);
    this.#markServer.listen(path.join(folder, this.#mark), resolve);
    await promise;
    this.#markServer.removeListener("error", reject);
    // A connection that could not be taken: whoever asked asks again.
    this.#markServer.on("error", () => undefined);
    if (this.#link.isStopped) this.#markServer.close();
  }

  #attach(): void {
    const { cluster, proxy } = this.#options;
    const inFlight = [...this.#flights].flatMap(([app, byVm]) =>
      [...byVm].map(([vm, flights]) => ({ app, vm, requests: flights.size })),
    );
    const network = networkOf();
    this.#say({ format: 1, kind: "hello", cluster, proxy, mark: this.#mark, network, inFlight });
    this.#deps.logger.info({ gateSocket: this.#options.gateSocket }, "gate of this host reached");
  }

  #hear(message: ToArm): void {
    if (message.kind === "grant") this.#take(message);
    else
      for (const vm of message.vms)
        for (const byVm of this.#flights.values())
          for (const flight of [...(byVm.get(vm) ?? [])]) flight.onCut();
  }

  /** In force at once, then answered: nothing is sent any more to whom it does not name. */
  #take({ app, epoch, places, record }: Extract<ToArm, { kind: "grant" }>): void {
    const before = this.#granted.get(app);
    const vms = new Map(places.map((place) => [place.vm, sameOr(place, before?.vms.get(place.vm))]));
    this.#granted.set(app, { epoch, vms });
    const withdrawn = [...(before?.vms ?? [])].filter(([vm, place]) => vms.get(vm) !== place);
    this.#withdraw(app, new Set(withdrawn.map(([vm]) => vm)));
    this.#stand(app);
    this.#deps.onRecord(app, record);
  }

  #withdrawAll(): void {
    const granted = [...this.#granted];
    this.#granted.clear();
    for (const [app, { vms }] of granted) this.#withdraw(app, new Set(vms.keys()));
  }

  /** Who waits for a connection goes another way; idle connections end. */
  #withdraw(app: AppName, vms: ReadonlySet<VmName>): void {
    if (vms.size === 0) return;
    const byVm = this.#flights.get(app);
    for (const vm of vms)
      for (const flight of [...(byVm?.get(vm) ?? [])]) if (!flight.isDispatched) flight.onRecall();
    this.#deps.onWithdrawn(vms);
  }

  #stand(app: AppName): void {
    const granted = this.#granted.get(app);
    if (granted === undefined) return;
    const left = [...(this.#flights.get(app) ?? [])].filter(([vm]) => !granted.vms.has(vm));
    const inFlight = left.map(([vm, flights]) => ({ vm, requests: flights.size }));
    this.#say({ format: 1, kind: "standing", app, epoch: granted.epoch, inFlight });
  }

  #emptied(app: AppName, vm: VmName): void {
    const byVm = this.#flights.get(app);
    byVm?.delete(vm);
    if (byVm?.size === 0) this.#flights.delete(app);
    if (this.#granted.get(app)?.vms.has(vm) !== true) this.#stand(app);
  }

  #flightsTo(app: AppName, vm: VmName): Set<Flight> {
    const byVm = this.#flights.get(app) ?? new Map<VmName, Set<Flight>>();
    this.#flights.set(app, byVm);
    const flights = byVm.get(vm) ?? new Set();
    byVm.set(vm, flights);
    return flights;
  }

  #endpointAt(endpoint: Endpoint, place: VmPlace): Endpoint {
    const made = this.#direct.get(endpoint);
    if (made?.place === place) return made.endpoint;
    const { host, port } = place;
    const direct = { ...endpoint, address: { host, port }, isGated: false };
    this.#direct.set(endpoint, { place, endpoint: direct });
    return direct;
  }

  #say(message: FromArm): void {
    this.#link.send(encodeRecord(message));
  }
}

/** The one that is held already, if it says the same: whoever goes by that goes on. */
function sameOr(place: VmPlace, held: VmPlace | undefined): VmPlace {
  return held?.host === place.host && held.port === place.port ? held : place;
}
