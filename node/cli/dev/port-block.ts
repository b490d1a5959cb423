// Port block: the fixed ports of one dev cluster, outside the ephemeral range, so that a member that restarts finds its own again.

import { createServer, type Server } from "node:net";

/** Blocks lie from here on: below Linux's default ephemeral range (32768), above what services use. */
const FIRST_PORT = 20_000;
const BLOCK_PORTS = 1_000;
/** So many clusters run side by side on one machine. */
const BLOCKS = 12;
/** Hosts, and proxies, of one dev cluster. */
export const DEV_MEMBERS_MAX = 16;
/** The first of a block's ports for VMs; those below are the members'. */
const VM_PORTS_OFFSET = 200;

interface HostPorts {
  readonly mesh: number;
  readonly api: number;
  readonly vms: { readonly from: number; readonly to: number };
}

interface GatePorts {
  readonly listen: number;
}

interface ProxyPorts {
  readonly mesh: number;
  readonly http: number;
  readonly admin: number;
}

export interface PortBlock {
  /** `index` from 0. */
  host(index: number): HostPorts;
  proxy(index: number): ProxyPorts;
  gate(index: number): GatePorts;
  /** Gives the block back. Call when no member runs any more. */
  release(): Promise<void>;
}

/** Takes a block that no other cluster holds and whose member ports are free. Its first port, kept open, is the lock. */
export async function takePortBlock(): Promise<PortBlock> {
  for (let block = 0; block < BLOCKS; block++) {
    const base = FIRST_PORT + block * BLOCK_PORTS;
    const lock = await tryListen(base);
    if (lock === null) continue;
    if (await areFree(base + 1, base + VM_PORTS_OFFSET)) return portBlock(base, lock);
    await close(lock);
  }
  throw new Error(
    `no free block of ports between ${FIRST_PORT} and ${FIRST_PORT + BLOCKS * BLOCK_PORTS - 1}: ` +
      `${BLOCKS} dev clusters run already, or other programs listen there`,
  );
}

function portBlock(base: number, lock: Server): PortBlock {
  const vmPorts = Math.floor((BLOCK_PORTS - VM_PORTS_OFFSET) / DEV_MEMBERS_MAX);
  return {
    host(index) {
      const from = base + VM_PORTS_OFFSET + index * vmPorts;
      return { mesh: base + 1 + index, api: base + 21 + index, vms: { from, to: from + vmPorts - 1 } };
    },
    proxy(index) {
      return { mesh: base + 41 + index, http: base + 61 + index, admin: base + 81 + index };
    },
    gate(index) {
      return { listen: base + 101 + index };
    },
    release: () => close(lock),
  };
}

async function areFree(from: number, to: number): Promise<boolean> {
  for (let port = from; port < to; port++) {
    const server = await tryListen(port);
    if (server === null) return false;
    await close(server);
  }
  return true;
}

function tryListen(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
