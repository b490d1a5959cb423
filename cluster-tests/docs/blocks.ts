// Blocks: the fenced blocks of the pages, each with the language that says how it is checked.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

export interface Block {
  /** "docs/cli.md:12", its first line. */
  readonly place: string;
  readonly page: string;
  /** "": it has none. */
  readonly language: string;
  readonly text: string;
  /** The line before it. */
  readonly before: string;
}

/** Every page for readers. The changelog tells of what was. */
export const PAGES: readonly string[] = globSync(["*.md", "{docs,mesh,cluster-tests,docker}/**/*.md"], {
  cwd: ROOT,
})
  .filter((page) => page !== "CHANGELOG.md")
  .sort();

export function readPage(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** Lines of code in the sentences of a page: what stands between backticks, blocks aside. */
export function codeOf(page: string): readonly string[] {
  const sentences = readPage(page).replaceAll(/```[\s\S]*?```/g, "");
  return [...sentences.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

/** In their order. Throws for one that has no end. */
export function blocksOf(page: string, text: string = readPage(page)): readonly Block[] {
  const blocks: Block[] = [];
  let open: {
    readonly language: string;
    readonly line: number;
    readonly before: string;
    readonly lines: string[];
  } | null = null;
  const all = text.split("\n");
  for (const [index, line] of all.entries()) {
    const [, language] = /^ *```(.*)$/.exec(line) ?? [];
    if (language === undefined) open?.lines.push(line);
    else if (open === null)
      open = { language: language.trim(), line: index + 2, before: all[index - 1] ?? "", lines: [] };
    else {
      const place = `${page}:${open.line}`;
      blocks.push({ place, page, language: open.language, before: open.before, text: open.lines.join("\n") });
      open = null;
    }
  }
  if (open !== null) throw new Error(`${page}:${open.line}: a block without an end`);
  return blocks;
}
