import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { privateKeyFromProtobuf, publicKeyFromProtobuf } from "@libp2p/crypto/keys";
import { peerIdFromPublicKey } from "@libp2p/peer-id";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClusterRoot } from "./cluster-root.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "grapevine-root-"));
});
afterEach(async () => rm(folder, { recursive: true }));

describe("createClusterRoot()", () => {
  it("makes a key for its owner alone, and an id that proves the public key", async () => {
    const made = await createClusterRoot(path.join(folder, "deep", "root"));
    if (!made.ok) throw new Error(made.error);
    const { id, keyFile, clusterFile } = made.value;
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    const publicText = /root_public_key = "(.*)"/.exec(await readFile(clusterFile, "utf8"))?.[1] ?? "";
    const publicKey = publicKeyFromProtobuf(Buffer.from(publicText, "base64"));
    expect(peerIdFromPublicKey(publicKey).toString()).toBe(id);
    const privateKey = privateKeyFromProtobuf(Buffer.from(await readFile(keyFile, "utf8"), "base64"));
    expect(privateKey.publicKey.equals(publicKey)).toBe(true);
  });

  it("fails where no folder can be made", async () => {
    await writeFile(path.join(folder, "file"), "");
    for (const place of [path.join(folder, "file", "root"), "/proc/grapevine/root"]) {
      expect((await createClusterRoot(place)).ok).toBe(false);
    }
  });

  it("overwrites nothing and leaves nothing half-made", async () => {
    const cluster = path.join(folder, "cluster.toml");
    await writeFile(cluster, "mine");
    const made = await createClusterRoot(folder);
    expect(made.ok ? "" : made.error).toContain("a cluster is there already and is not overwritten");
    expect(await readFile(cluster, "utf8")).toBe("mine");
    expect(await readdir(folder)).toEqual(["cluster.toml"]);
  });
});
