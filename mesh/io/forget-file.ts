// Forget file: who is gone for good, on our own disk. One small file, replaced whole: people say such words now and then.

import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { encodeForget, type ForgetWord, forgetKey, forgetWordOf } from "../core/forget-entry.ts";
import { ownerId } from "../core/ids.ts";
import { packValue, unpackValue } from "../core/msgpack.ts";
import { messageOf } from "../result.ts";
import { readIfThere, writeDurably } from "./durable-file.ts";

export const FORGET_FILE = "mesh-forgotten";
const FORMAT = 1;

/** `isOurs`: it was said here, and is an entry of our own state. Else we heard it. */
export interface KeptWord extends ForgetWord {
  readonly isOurs: boolean;
}

export class ForgetFile {
  readonly #path: string;
  readonly #logger: Logger;

  constructor(stateDir: string, logger: Logger) {
    this.#path = join(stateDir, FORGET_FILE);
    this.#logger = logger;
  }

  /** A file that cannot be read is put aside and logged: others remember as well. */
  async read(): Promise<readonly KeptWord[]> {
    try {
      const bytes = await readIfThere(this.#path);
      return bytes === undefined ? [] : decodeWords(unpackValue(bytes));
    } catch (error) {
      const aside = `${this.#path}.broken`;
      const fields = { reason: messageOf(error), file: aside };
      this.#logger.error(fields, "cannot read which members are gone for good, set aside: begun anew");
      await rename(this.#path, aside).catch(() => undefined);
      return [];
    }
  }

  /** On disk when it resolves. Rejects with what the file system says; then what was there stands. */
  async write(words: Iterable<KeptWord>): Promise<void> {
    const rows = [...words].map(({ isOurs, ...word }) => [word.owner, encodeForget(word), isOurs]);
    await writeDurably(this.#path, packValue([FORMAT, rows]), { mode: 0o600 });
  }
}

function decodeWords(fields: unknown): readonly KeptWord[] {
  const [format, rows] = Array.isArray(fields) ? (fields as unknown[]) : [];
  if (format !== FORMAT || !Array.isArray(rows)) throw new Error("not of this release");
  return rows.map((row: unknown) => {
    const [owner, value, isOurs] = Array.isArray(row) ? (row as unknown[]) : [];
    const isRow = typeof owner === "string" && value instanceof Uint8Array && typeof isOurs === "boolean";
    const word = isRow ? forgetWordOf({ key: forgetKey(ownerId(owner)), value }) : undefined;
    if (word === undefined) throw new Error("damaged");
    return { ...word, isOurs: isOurs === true };
  });
}
