// Expected output: whether a command printed what a page shows. The rule for readers and writers of pages: `…` stands for whatever is left
// out, alone on its line for any lines; times, versions, ids, addresses and the width of columns may be others; all else is as printed.

const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "<date>"],
  [/\b\d{13}\.[0-9a-f]{4}\.\d+\b/g, "<version>"],
  [/\b\d{13}\b/g, "<moment>"],
  [/\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b/g, "<time>"],
  [/\b127\.0\.0\.1:\d+\b/g, "<address>"],
  [/\b[0-9a-f]{16}\b/g, "<id>"],
  [/\b\d+ characters\b/g, "<size>"],
  [/"[0-9a-f]{12}\.\d+((?:\.snapshot)?)"/g, '"<position>$1"'],
  [/\bas \d+ members found\b/g, "as <some> members found"],
  [/\b(?:gossip|anti-entropy) from [\w-]+/g, "<way>"],
  [/@\d+\b|\bcounter \d+\b/g, "<counter>"],
  [/"ms":\d+(?:\.\d+)?/g, '"ms":<time>'],
  [/ *\| */g, "|"],
  [/[ \t]+/g, " "],
];

/** Matches what `normalised` made of what was printed. `isBegin`: more may follow. */
export function patternOf(shown: string, { isBegin = false }: { readonly isBegin?: boolean } = {}): RegExp {
  const lines = normalised(withDenseJson(shown)).trimEnd().split("\n");
  const pattern = lines.map((line) =>
    line.trim() === "…" ? "(?:.*\\n)*?" : `${line.split("…").map(literal).join(".*")}\n`,
  );
  return new RegExp(`^${pattern.join("")}${isBegin ? "" : "$"}`);
}

function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Ends with a line break. */
export function normalised(text: string): string {
  const told = VOLATILE.reduce((so, [pattern, sign]) => so.replaceAll(pattern, sign), text);
  const lines = told.split("\n").map((line) => line.trimEnd());
  return `${lines.join("\n").trim()}\n`;
}

/** JSON as programs print it: a page breaks its lines, and puts spaces into it, for people. */
function withDenseJson(text: string): string {
  return text.replaceAll(/^\{"[\s\S]*?\}$(?=\n[^ ]|$(?![\s\S]))/gm, (json) =>
    json.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/g, "$1"),
  );
}
