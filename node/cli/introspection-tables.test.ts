import { describe, expect, it } from "vitest";
import { diffText, syncText, whyText } from "./introspection-tables.ts";
import { formatCsv } from "./table.ts";

type Sync = Parameters<typeof syncText>[0];
type Diff = Parameters<typeof diffText>[0];
type Why = Parameters<typeof whyText>[0];

const version = (counter: number) => ({ incarnation: 1_000, startId: 1, counter, text: `1000.1.${counter}` });

function member(name: string, more: object = {}): object {
  return {
    ...{ name, role: "host", owner: `owner-${name}`, self: false, state: "alive", forSeconds: 60, why: "" },
    ...{
      connected: true,
      reason: null,
      tookMs: 1,
      synced: true,
      behind: [],
      mismatched: [],
      owners: 2,
      entries: 9,
    },
    ...{ stale: [], lagMs: 3, uptimeMs: 90_000, describe: [], proxy: null },
    ...more,
  };
}

function syncOf(...members: readonly object[]): Sync {
  return {
    askedBy: "host-1",
    synced: members.every((row) => "synced" in row && row.synced === true),
    members,
  } as never;
}

describe("status --hosts", () => {
  it("says that all hold the same", () => {
    expect(syncText(syncOf(member("host-1"), member("proxy-1", { role: "proxy" })))).toBe(
      "MEMBER   ROLE   STATE  FOR   SYNCED  ENTRIES  STALE  LAG   UP    WHY\n" +
        "host-1   host   alive  60 s  yes     9        -      3 ms  90 s\n" +
        "proxy-1  proxy  alive  60 s  yes     9        -      3 ms  90 s\n" +
        "all members hold the same; asked by host-1\n",
    );
  });

  it("says who is behind, by how much and of whom; who is stale, and who does not answer", () => {
    const behind = ["a", "b", "c", "d", "e"].map((name, at) => {
      return { name, owner: name, writes: at + 1, held: at === 1 ? null : version(1), newest: version(2) };
    });
    const text = syncText(
      syncOf(
        member("host-1", { synced: false, behind }),
        member("host-2", { synced: false, mismatched: [{ name: null, owner: "12D3Koo" }] }),
        member("proxy-1", { stale: ["host-2"], proxy: { serving: false, stale: true, serial: 1 } }),
        member("proxy-2", {
          state: "dead",
          why: "it does not answer",
          synced: null,
          reason: "not connected",
          entries: null,
          lagMs: null,
          uptimeMs: null,
        }),
      ),
    );
    expect(text).toContain("behind: 1 of a, 2 of b (holds nothing of it), 3 of c and 2 more");
    expect(text).toContain("other values than 12D3Koo");
    expect(text).toMatch(/proxy-1 .* routes, 1 from disk, not serving/);
    expect(text).toMatch(/proxy-2 .* dead .* unknown: not connected .* it does not answer\n/);
    expect(text).toContain("not all members are known to hold the same; asked by host-1\n");
  });
});

describe("diff", () => {
  const base = { a: "host-1", b: "proxy-1", owners: 3, truncated: false };

  it("says that two hold the same", () => {
    const view = { ...base, equal: true, count: 0, differences: [] } as unknown as Diff;
    expect(diffText(view)).toBe("host-1 and proxy-1 hold the same: the states of 3 members\n");
  });

  it("shows what each has, and who is newer", () => {
    const side = (counter: number, value: string | null, deleted = false) => ({
      version: version(counter),
      deleted,
      bytes: 5,
      value,
    });
    const differences = [
      { key: "vm/a", owner: "o", name: "host-1", a: side(7, "running"), b: side(5, "preparing"), newer: "a" },
      { key: "vm/b", owner: "o", name: null, a: null, b: side(9, null, true), newer: "b" },
      { key: "vm/c", owner: "o", name: "host-1", a: side(3, null), b: side(3, null), newer: null },
    ];
    const view = { ...base, equal: false, count: 7, truncated: true, differences } as unknown as Diff;
    expect(diffText(view)).toBe(
      "KEY   OWNER   NEWER          host-1      proxy-1\n" +
        "vm/a  host-1  host-1         running @7  preparing @5\n" +
        "vm/b  o       proxy-1        nothing     deleted @9\n" +
        "vm/c  host-1  values differ  5 bytes @3  5 bytes @3\n" +
        "7 of their entries differ; 3 are shown, and there may be more\n",
    );
  });
});

describe("why", () => {
  const held = { key: "vm/x", by: "host-1", owner: "o", version: version(4), current: true, deleted: false };
  const view = {
    vm: "x",
    app: "hello",
    commits: [{ epoch: 7, by: "host-1", version: version(9), inForce: true }],
    record: {
      ...{ epoch: 7, deleted: false, wanted: { host: "host-1", phase: "serving", release: 2 } },
      rollout: { id: "hello-v2", state: "running", driver: "host-1", step: "serve x" },
    },
    said: [
      {
        ...{ by: "host-1", owner: "o", version: version(4), believed: true, deleted: false, problem: null },
        entry: {
          ...{ state: "running", health: "healthy", address: { host: "127.0.0.1", port: 80 }, reason: null },
          ...{ restarts: 1, startedAtMs: 1_000, healthyAtMs: 5_000 },
        },
      },
    ],
    members: [
      {
        ...{ name: "host-1", role: "host", state: "alive", reason: null, routing: null },
        holds: [{ ...held, path: "own", from: null, agoMs: 4_000 }],
      },
      {
        ...{ name: "proxy-1", role: "proxy", state: "alive", reason: null },
        routing: { isRouted: false, epoch: 6, why: "…" },
        holds: [
          { ...held, path: "sync", from: "host-2", agoMs: 300 },
          {
            ...held,
            key: "app/hello",
            version: version(2),
            current: false,
            path: "disk",
            from: null,
            agoMs: null,
          },
        ],
      },
      { name: "proxy-2", role: "proxy", state: "suspect", reason: "not connected", routing: null, holds: [] },
    ],
    conclusions: ["proxy-1 does not route to it: …\u001b[31m"],
  } as unknown as Why;

  it("tells the story of one VM, without what a terminal would obey", () => {
    expect(whyText(view, 10_000)).toBe(
      "x of hello\n" +
        "epoch 7 committed by host-1 (1000.1.9)\n" +
        "the record wants it serving on host-1, release v2; rollout hello-v2 running, step serve x, driven by host-1\n" +
        "host-1 says: running, healthy, at 127.0.0.1:80, 1 restarts, started 9.0 s ago, healthy 5.0 s ago by its clock; written 1000.1.4: incarnation 1000, counter 4\n" +
        "\n" +
        "MEMBER   ENTRY      OF      HOLDS                   CAME BY                   AGO     ROUTES\n" +
        "host-1   vm/x       host-1  newest @4               own write                 4.0 s   -\n" +
        "proxy-1  vm/x       host-1  newest @4               anti-entropy from host-2  300 ms  no, epoch 6\n" +
        "         app/hello  host-1  older @2                its disk                  -\n" +
        "proxy-2  -          -       unknown: not connected  -                         -       unknown\n" +
        "\n" +
        "! proxy-1 does not route to it: … [31m\n",
    );
  });

  it("says that all proxies route to it, when they do", () => {
    const members = [{ ...view.members[1], routing: { isRouted: true, epoch: 7, why: "" } }];
    const text = whyText({ ...view, members, conclusions: [] } as unknown as Why, 10_000);
    expect(text.endsWith("\nall 1 proxies route to x\n")).toBe(true);
  });
});

describe("formatCsv()", () => {
  it("quotes what would break a line or a field, and nothing else", () => {
    expect(
      formatCsv([
        ["a", "b c"],
        ['say "hi"', "1,2"],
        ["two\nlines", ""],
      ]),
    ).toBe('a,b c\n"say ""hi""","1,2"\n"two\nlines",\n');
  });
});
