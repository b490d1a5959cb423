import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName } from "../../mesh/index.ts";
import { FakeDriver, FakeMachine } from "./fake-driver.ts";
import { HostHarness, vm, wanted } from "./vm-host-harness.ts";
import { Volumes } from "./volumes.ts";

const app = appName("hello");
const data = [{ name: "data", path: "var/data" }];

describe("Volumes", () => {
  let root: string;
  let made: string[];
  let volumes: Volumes;
  const own = () => join(root, "volumes", "hello", "data");
  const folder = () => join(root, "app");
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "grapevine-volumes-"));
    await mkdir(folder());
    made = [];
    volumes = new Volumes(join(root, "volumes"), () => made);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it("makes a directory once, and links it into the folder of each VM", async () => {
    await volumes.link(app, data, folder());
    await writeFile(join(folder(), "var/data/kept"), "kept");
    await rm(folder(), { recursive: true });
    await mkdir(folder());
    await volumes.link(app, data, folder());
    expect(await readlink(join(folder(), "var/data"))).toBe(own());
    expect(await readFile(join(folder(), "var/data/kept"), "utf8")).toBe("kept");
    expect(volumes.environment(app, [{ name: "my-data", path: "d" }])).toEqual({
      GRAPEVINE_VOLUME_MY_DATA: join(root, "volumes/hello/my-data"),
    });
  });

  it("does not make one anew that was there: its disk may not be mounted", async () => {
    made = ["data"];
    await expect(volumes.link(app, data, folder())).rejects.toThrow(
      /volume data cannot be used: ENOENT.*It was at .*\/volumes\/hello\/data: bring it back/,
    );
    expect(existsSync(own())).toBe(false);
  });

  it("refuses what is no directory, and a folder that has something at its path", async () => {
    await mkdir(join(root, "volumes/hello"), { recursive: true });
    await writeFile(own(), "");
    made = ["data"];
    await expect(volumes.check(app, data)).rejects.toThrow(/it is no directory/);
    await rm(own());
    await mkdir(own());
    await mkdir(join(folder(), "var/data"), { recursive: true });
    await expect(volumes.link(app, data, folder())).rejects.toThrow(/the app's folder has var\/data itself/);
  });

  it("refuses one that cannot be written to", async (context) => {
    if (process.getuid?.() === 0) context.skip("root may write everywhere: run it as somebody else");
    await mkdir(own(), { recursive: true });
    await chmod(own(), 0o500);
    await expect(volumes.check(app, data)).rejects.toThrow(/volume data cannot be used: EACCES/);
    await chmod(own(), 0o700);
  });

  it("removes all that the app has", async () => {
    await volumes.link(app, data, folder());
    await volumes.remove(app);
    expect(existsSync(join(root, "volumes/hello"))).toBe(false);
    expect(readdirSync(join(root, "volumes"))).toEqual([]);
  });

  it("removes nothing of what is made meanwhile, and later what was not finished", async () => {
    await volumes.link(app, data, folder());
    await writeFile(join(own(), "old"), "1");
    await mkdir(join(root, "volumes/.hello-removed-1/data"), { recursive: true });
    const removed = volumes.remove(app);
    await volumes.link(app, data, join(root, "next"));
    await writeFile(join(own(), "new"), "1");
    await removed;
    expect(readdirSync(own())).toEqual(["new"]);
    expect(readdirSync(join(root, "volumes"))).toEqual(["hello"]);
  });
});

describe("VmHost, of a VM with a volume", () => {
  let machine: FakeMachine;
  let harness: HostHarness;
  beforeEach(async () => {
    machine = new FakeMachine();
    harness = await HostHarness.create(() => new FakeDriver(machine));
  });
  afterEach(() => harness.close());

  it("tells it where that is, keeps it when the VM goes, and removes it when the app goes with its data", async () => {
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", { command: ["run"], volumes: data })]);
    await harness.entry({ state: "running" });
    const path = machine.started[0]?.env["GRAPEVINE_VOLUME_DATA"] ?? "";
    expect(path).toBe(join(harness.root, "state/volumes/hello/data"));
    await writeFile(join(harness.folderOf(vm), "app/var/data/row"), "1");
    await host.removeVolumes(app);
    expect(existsSync(join(path, "row"))).toBe(true);
    host.reconcile([]);
    await harness.gone();
    expect(existsSync(join(path, "row"))).toBe(true);
    await host.removeVolumes(app);
    expect(existsSync(path)).toBe(false);
  });

  it("does not start it while the volume is missing, and says so", async () => {
    harness.madeVolumes = ["data"];
    const host = await harness.startAgent();
    host.reconcile([wanted("starting", { command: ["run"], volumes: data })]);
    const { reason } = await harness.entry({ state: "failed" });
    expect(reason).toMatch(/its volume data cannot be used/);
    expect(machine.started).toEqual([]);
  });
});
