import { createHash } from "node:crypto";
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { create, Header } from "tar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { packFolder } from "./pack.ts";
import { unpackBundle } from "./unpack.ts";

let root = "";
let tar = "";

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "grapevine-pack-"));
  tar = join(root, "out.tar");
});
afterEach(() => rm(root, { recursive: true }));

/** Makes a folder with the files; a content of null is a folder. */
async function folderOf(name: string, files: Readonly<Record<string, string | null>>): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, content === null ? path : dirname(path)), { recursive: true });
    if (content !== null) await writeFile(join(folder, path), content);
  }
  return folder;
}

async function packedNames(folder: string): Promise<string[]> {
  await packFolder(folder, tar);
  const out = await mkdtemp(join(root, "unpacked-"));
  await unpackBundle(tar, out);
  return (await readdir(out, { recursive: true })).sort();
}

describe("packFolder()", () => {
  it("gives the same hash for the same content, whatever the times, the order, the umask and the links", async () => {
    const one = await folderOf("one", { "a.js": "a", "lib/b.js": "b", "lib/c.js": "b", "@x": "x" });
    const two = await folderOf("two", { "@x": "x", "lib/c.js": "b" });
    await link(join(two, "lib/c.js"), join(two, "lib/b.js"));
    await writeFile(join(two, "a.js"), "a");
    await utimes(join(two, "a.js"), 1, 1);
    await chmod(join(two, "a.js"), 0o600);
    await chmod(join(two, "lib"), 0o700);
    const packed = await packFolder(one, tar);
    expect(await packFolder(two, join(root, "two.tar"))).toEqual(packed);
    expect(packed).toMatchObject({ entries: 5, bytes: (await stat(tar)).size });
    expect(
      createHash("sha256")
        .update(await readFile(tar))
        .digest("hex"),
    ).toBe(packed.hash);
  });

  it("gives another hash for another content, name, mode or link", async () => {
    const base = { "a.js": "a", "b.js": "b" };
    const folders = [
      await folderOf("base", base),
      await folderOf("content", { ...base, "b.js": "c" }),
      await folderOf("name", { "a.js": "a", "c.js": "b" }),
      await folderOf("more", { ...base, empty: null }),
      await folderOf("mode", base),
      await folderOf("link", base),
    ];
    await chmod(join(root, "mode", "a.js"), 0o755);
    await symlink("a.js", join(root, "link", "l"));
    const hashes = await Promise.all(folders.map((one, at) => packFolder(one, join(root, `${at}.tar`))));
    expect(new Set(hashes.map((packed) => packed.hash)).size).toBe(folders.length);
  });

  it("is undone by unpackBundle(), over any names and contents", async () => {
    const name = fc.stringMatching(/^[a-zA-Z0-9@ _.ü-]{1,40}$/).filter((one) => !/^\.+$/.test(one));
    const path = fc.array(name, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"));
    const files = fc.dictionary(path, fc.string({ maxLength: 2_000 }), { maxKeys: 8 });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(files, async (raw) => {
        run += 1;
        // A name cannot be a file and a folder at once.
        const paths = Object.keys(raw).filter(
          (one) => !Object.keys(raw).some((other) => other.startsWith(`${one}/`)),
        );
        const wanted = Object.fromEntries(paths.map((one) => [one, raw[one] ?? ""]));
        const folder = await folderOf(`in-${run}`, wanted);
        const packed = await packFolder(folder, tar);
        await unpackBundle(tar, join(root, `out-${run}`));
        for (const one of paths)
          expect(await readFile(join(root, `out-${run}`, one), "utf8")).toBe(wanted[one]);
        expect(await packFolder(join(root, `out-${run}`), tar)).toEqual(packed);
      }),
      { numRuns: 30 },
    );
  });

  it("keeps deep paths, empty folders, links inside, and whether a file may be run", async () => {
    const deep = `${"d".repeat(90)}/${"e".repeat(90)}/${"f".repeat(90)}.js`;
    const folder = await folderOf("app", { "run.sh": "", [deep]: "deep", "empty/folder": null });
    await chmod(join(folder, "run.sh"), 0o755);
    await symlink("../run.sh", join(folder, "empty", "link"));
    await symlink("nowhere", join(folder, "dangling"));
    await packFolder(folder, tar);
    const out = join(root, "out");
    await unpackBundle(tar, out);
    expect(await readFile(join(out, deep), "utf8")).toBe("deep");
    expect((await lstat(join(out, "run.sh"))).mode & 0o111).not.toBe(0);
    expect(await readlink(join(out, "empty/link"))).toBe("../run.sh");
    expect(await readlink(join(out, "dangling"))).toBe("nowhere");
    expect(await readdir(join(out, "empty"))).toEqual(["folder", "link"]);
    // Not of 1970: an ETag made of size and time must tell two releases apart.
    expect((await stat(join(out, "run.sh"))).mtimeMs).toBeGreaterThan(Date.UTC(2000));
  });

  it("leaves out what the ignore file names, and what is never meant", async () => {
    const folder = await folderOf("app", {
      ".grapevineignore": "node_modules/\n*.log\n!keep.log\n",
      ".git/config": "",
      ".grapevine/state": "",
      "node_modules/x/index.js": "",
      "src/node_modules/y.js": "",
      "src/a.js": "",
      "a.log": "",
      "keep.log": "",
    });
    expect(await packedNames(folder)).toEqual(["keep.log", "src", "src/a.js"]);
  });

  it("takes back a default that the ignore file names with an exclamation mark", async () => {
    expect(
      await packedNames(await folderOf("app", { ".grapevineignore": "!.git\n", ".git/HEAD": "" })),
    ).toEqual([".git", ".git/HEAD"]);
  });

  it("refuses a folder that is too large and names its biggest part; nothing is left behind", async () => {
    const folder = await folderOf("app", { "a.js": "a", "assets/movie.mp4": "", "assets/b": "b" });
    await truncate(join(folder, "assets/movie.mp4"), 101 * 1024 * 1024);
    await expect(packFolder(folder, tar)).rejects.toMatchObject({
      name: "PackError",
      code: "too-large",
      message:
        'the app\'s folder has 101.0 MiB, the most is 100.0 MiB; "assets" alone has 101.0 MiB; ' +
        "name what the app does not need in .grapevineignore",
    });
    await expect(stat(tar)).rejects.toThrow("ENOENT");
  });

  it("refuses too many files and names where they are", async () => {
    const folder = await folderOf("app", { "a.js": "a", "z/b": "b" });
    await mkdir(join(folder, "node_modules"));
    for (let at = 0; at < 9; at += 1) await writeFile(join(folder, "node_modules", `${at}`), "");
    const limits = { bytesMax: 10_240, entriesMax: 10 };
    await expect(packFolder(folder, tar, { limits })).rejects.toMatchObject({
      code: "too-many-files",
      message: expect.stringContaining('are in "node_modules"'),
    });
  });

  it("leaves out one file by name, whatever the ignore file takes back, and nothing else of that name", async () => {
    const files = { "app.toml": "PASSWORD = 1", ".grapevineignore": "!app.toml", "sub/app.toml": "", a: "" };
    const folder = await folderOf("app", files);
    const { entries } = await packFolder(folder, tar, { without: "app.toml" });
    expect(entries).toBe(3);
    expect((await readFile(tar)).includes("PASSWORD")).toBe(false);
  });

  it("counts what tar adds too", async () => {
    const folder = await folderOf("app", { a: "", b: "", c: "" });
    const limits = { bytesMax: 1_024, entriesMax: 10 };
    await expect(packFolder(folder, tar, { limits })).rejects.toMatchObject({ code: "too-large" });
    await expect(stat(tar)).rejects.toThrow("ENOENT");
  });

  it.each([
    ["/etc/passwd", "make it relative"],
    ["../other", "leads out of the app's folder"],
    ["sub/../../other", "leads out of the app's folder"],
    ["a/b/up/../other", "leads out of the app's folder"],
  ])("refuses a link to %s", async (target, message) => {
    const folder = await folderOf("app", { "a/b/c": "" });
    await writeFile(join(root, "other"), "secret");
    await symlink("../..", join(folder, "a/b/up"));
    await symlink(target, join(folder, "link"));
    await expect(packFolder(folder, tar)).rejects.toMatchObject({ code: "link-outside" });
    await expect(packFolder(folder, tar)).rejects.toThrow(message);
  });

  it("refuses a folder that is not there, and an ignore file that is none", async () => {
    await expect(packFolder(join(root, "none"), tar)).rejects.toMatchObject({ code: "unreadable" });
    const folder = await folderOf("app", { ".grapevineignore": null });
    await expect(packFolder(folder, tar)).rejects.toMatchObject({ code: "unsupported" });
  });
});

describe("unpackBundle()", () => {
  /** A tar file of one entry, as somebody else would make it. */
  async function entry(fields: ConstructorParameters<typeof Header>[0]): Promise<void> {
    const header = new Header(fields);
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    await writeFile(tar, Buffer.concat([block, Buffer.alloc(1024)]));
  }

  it.each([
    [{ path: "../evil", type: "File", size: 0 }],
    [{ path: "a/../../evil", type: "File", size: 0 }],
    [{ path: "/tmp/evil", type: "File", size: 0 }],
    [{ path: "evil", type: "SymbolicLink", linkpath: "../..", size: 0 }],
    [{ path: "evil", type: "SymbolicLink", linkpath: "/etc", size: 0 }],
    [{ path: "evil", type: "Link", linkpath: "/etc/passwd", size: 0 }],
    [{ path: "evil", type: "CharacterDevice", size: 0 }],
    [{ path: "evil", type: "FIFO", size: 0 }],
  ] as const)("refuses %o, and writes nothing", async (fields) => {
    await entry({ mode: 0o644, ...fields });
    await expect(unpackBundle(tar, join(root, "out"))).rejects.toThrow("the bundle is refused");
    await expect(stat(join(root, "out"))).rejects.toThrow("ENOENT");
  });

  it("refuses what says it is larger than the bound, and what is no tar file", async () => {
    await entry({ path: "big", type: "File", size: 2 ** 30, mode: 0o644 });
    await expect(unpackBundle(tar, join(root, "out"))).rejects.toMatchObject({ name: "BundleRefused" });
    await writeFile(tar, Buffer.alloc(4_096, "x"));
    await expect(unpackBundle(tar, join(root, "out"))).rejects.toMatchObject({ name: "BundleRefused" });
  });

  it("refuses a compressed tar file: what it may unpack to has no bound", async () => {
    const folder = await folderOf("app", { a: "a" });
    await create({ file: tar, cwd: folder, portable: true, gzip: true }, ["a"]);
    await expect(unpackBundle(tar, join(root, "out"))).rejects.toThrow(
      "the bundle is refused: it is compressed",
    );
    await expect(stat(join(root, "out"))).rejects.toThrow("ENOENT");
  });

  it("does not write through a link of the bundle", async () => {
    const folder = await folderOf("app", { "sub/a": "a" });
    await symlink("sub", join(folder, "link"));
    await create({ file: tar, cwd: folder, portable: true, noDirRecurse: true }, ["sub", "link", "sub/a"]);
    await unpackBundle(tar, join(root, "out"));
    expect(await readFile(join(root, "out/link/a"), "utf8")).toBe("a");
  });
});
