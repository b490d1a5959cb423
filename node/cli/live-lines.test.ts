import { expect, it } from "vitest";
import { vmName } from "../../mesh/index.ts";
import { fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import { LiveLines } from "./live-lines.ts";
import { onTerminal } from "./teller.ts";

/** Escapes, and all else letter by letter. */
const ESCAPE = String.fromCharCode(27);
const PARTS = new RegExp(`${ESCAPE}\\[\\d*[AJ]|[\\s\\S]`, "gu");

/** A terminal as far as it matters here: letters, ends of lines, up, back to the first column, clear what is below. */
class FakeTerminal {
  readonly columns = 30;
  readonly rows: string[] = [""];
  #row = 0;
  #column = 0;

  write(text: string): void {
    for (const part of text.match(PARTS) ?? []) this.#take(part);
  }

  #take(part: string): void {
    if (part === "\r") this.#column = 0;
    else if (part.endsWith("A") && part.length > 1) this.#row -= Number(part.slice(2, -1));
    else if (part.endsWith("J") && part.length > 1) this.#clear();
    else if (part === "\n") this.#nextRow();
    else this.#letter(part);
  }

  #clear(): void {
    this.rows.length = this.#row + 1;
    this.rows[this.#row] = this.#here().slice(0, this.#column);
  }

  #nextRow(): void {
    this.#row += 1;
    this.#column = 0;
    this.rows[this.#row] ??= "";
  }

  #letter(letter: string): void {
    expect(this.#column, "a line that wraps").toBeLessThan(this.columns);
    this.rows[this.#row] = `${this.#here().slice(0, this.#column)}${letter}`;
    this.#column += 1;
  }

  #here(): string {
    return this.rows[this.#row] ?? "";
  }
}

it("draws its last lines anew below what stays, cut to the width", () => {
  const terminal = new FakeTerminal();
  const lines = new LiveLines(terminal);
  lines.print("submitted");
  lines.show(["waiting for proxy-2 (1.1 s)", "and for proxy-3, which has a long name"]);
  expect(terminal.rows).toEqual([
    "submitted",
    "waiting for proxy-2 (1.1 s)",
    "and for proxy-3, which has a …",
  ]);
  lines.show(["waiting for proxy-2 (1.4 s)"]);
  expect(terminal.rows).toEqual(["submitted", "waiting for proxy-2 (1.4 s)"]);
  lines.print("step 2 is over");
  expect(terminal.rows).toEqual(["submitted", "step 2 is over", "waiting for proxy-2 (1.4 s)"]);
  lines.show([]);
  lines.print("done");
  expect(terminal.rows).toEqual(["submitted", "step 2 is over", "done", ""]);
});

it("shows a line whole on a terminal that says it has no columns, as a pty without a size does", () => {
  const written: string[] = [];
  const terminal = { columns: 0, write: (text: string): number => written.push(text) };
  new LiveLines(terminal).show(["waiting for proxy-2 (1.1 s)"]);
  expect(written).toEqual(["waiting for proxy-2 (1.1 s)"]);
});

it("tells on a terminal what happened, and below it what the rollout waits for by now", () => {
  const terminal = new FakeTerminal();
  const teller = onTerminal(new LiveLines(terminal));
  teller.tell({ event: "submitted", text: "hello-v2: submitted", facts: {} });
  teller.tell({ event: "waiting", text: "a wait that was told as a line", facts: {} });
  const waiting = { who: vmName("vm-1"), what: "to run", forMs: 1_000 };
  const step = {
    number: 1,
    kind: "start",
    vms: [],
    forMs: 1_000,
    acks: null,
    waitingFor: [waiting],
  } as const;
  const view = fakeView({ rollout: fakeRollout({ step }) });
  teller.show(view, 100);
  expect(terminal.rows.map((row) => row.slice(0, 20))).toEqual([
    "hello-v2: submitted",
    "step 1 start  … wait",
  ]);
  teller.end(["hello-v2: succeeded"], {});
  teller.close();
  expect(terminal.rows).toEqual(["hello-v2: submitted", "hello-v2: succeeded", ""]);
});
