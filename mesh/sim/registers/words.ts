// Words: lines about the register of the voters, whose records are lists and no text.

import type { RegisterName } from "../../register/certificate.ts";
import { VOTERS_REGISTER } from "../../register/settle.ts";

/** The line with its lists as the names of their hosts. */
export function inWords(register: RegisterName | null, line: string): string {
  if (register !== VOTERS_REGISTER) return line;
  return line.replaceAll(/"[^"]*"/g, (record) => `"${(record.match(/host-\d+/g) ?? []).join(" ")}"`);
}
