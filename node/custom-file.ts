// Custom file: where an agent's custom entries outlive it: one file, replaced whole.

import { readFile, rename } from "node:fs/promises";
import { writeDurably } from "../mesh/index.ts";

export interface CustomFile {
  /** Undefined: there is none yet. */
  read(): Promise<Uint8Array | undefined>;
  /** On disk when it resolves. Rejects with what the file system says; then the content of before stands. */
  write(bytes: Uint8Array): Promise<void>;
  /** Renames it, for a person to look at. Resolves with where it is. */
  setAside(): Promise<string>;
}

export function customFileAt(file: string): CustomFile {
  return {
    read: async () => {
      try {
        return new Uint8Array(await readFile(file));
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
        throw error;
      }
    },
    write: (bytes) => writeDurably(file, bytes, { mode: 0o600 }),
    setAside: async () => {
      const aside = `${file}.broken`;
      await rename(file, aside);
      return aside;
    },
  };
}
