// Readable value: what an entry says, as JSON, if it is of a kind that is known here.

import { z } from "zod";
import {
  APP_PREFIX,
  decodeCommittedApp,
  decodeRecord,
  HOST_PREFIX,
  MEMBER_KEY,
  PROXY_PREFIX,
  SUSPECT_PREFIX,
  VM_PREFIX,
} from "../../mesh/index.ts";
import { CUSTOM_PREFIX } from "../custom-entries.ts";

/** Deeper values would exhaust the stack of whoever reads them. */
const JSON_DEPTH_MAX = 32;
const RECORD_PREFIXES = [VM_PREFIX, HOST_PREFIX, PROXY_PREFIX, SUSPECT_PREFIX];

/** True for keys whose values are records of ours. */
export function isOwnKind(key: string): boolean {
  return (
    key === MEMBER_KEY ||
    key.startsWith(APP_PREFIX) ||
    RECORD_PREFIXES.some((prefix) => key.startsWith(prefix))
  );
}

/** Of a custom entry its JSON, if that is what it is; of any other what its msgpack says. undefined: nothing to be shown. */
export function readableValue(key: string, value: Uint8Array): unknown {
  const shown = decode(key, value);
  return isShallow(shown) ? shown : undefined;
}

function decode(key: string, value: Uint8Array): unknown {
  if (key.startsWith(CUSTOM_PREFIX)) return parseJson(value);
  if (key.startsWith(APP_PREFIX)) {
    const committed = decodeCommittedApp(value);
    return committed.ok ? committed.value : undefined;
  }
  const record = decodeRecord(z.unknown(), value);
  return record.ok ? record.value : undefined;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** For `JSON.stringify`: JSON has no bytes and no large integers; a peer's value may have both. */
export function replaceUnprintable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? { bytes: value.byteLength } : value;
}

/** Level by level, not by recursion: the value is a stranger's. */
function isShallow(json: unknown): boolean {
  let level: unknown[] = [json];
  for (let depth = 0; depth <= JSON_DEPTH_MAX; depth++) {
    level = level.flatMap(childrenOf);
    if (level.length === 0) return true;
  }
  return false;
}

function childrenOf(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value)
    ? Object.values(value)
    : [];
}
