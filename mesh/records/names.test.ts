import { describe, expect, test } from "vitest";
import { appName } from "../core/ids.ts";
import {
  claim,
  decodeNames,
  encodeNames,
  hostnameClaim,
  type NamesRecord,
  NO_NAMES,
  release,
} from "./names.ts";

const [A, B] = [appName("a"), appName("b")];
const WWW = hostnameClaim("WWW.example.com");
const API = hostnameClaim("api.example.com");

function claimed(record: NamesRecord, app: typeof A, epoch: number, names: readonly string[]): NamesRecord {
  const result = claim(record, { app, epoch }, names);
  if (!result.ok) throw new Error(result.error.code);
  return result.value;
}

describe("names", () => {
  test("belong to one app, however they are written", () => {
    const record = claimed(NO_NAMES, A, 1, [WWW]);
    expect(claim(record, { app: B, epoch: 9 }, [API, hostnameClaim("www.EXAMPLE.com")])).toEqual({
      ok: false,
      error: { code: "taken", name: "hostname/www.example.com", by: A },
    });
  });

  test("are given back by a record that does not use them, not by an earlier one than they were claimed for", () => {
    const record = claimed(NO_NAMES, A, 9, [WWW]);
    expect(release(record, { app: A, epoch: 8 }, [])).toBe(record);
    expect(release(record, { app: A, epoch: 9 }, [WWW])).toBe(record);
    expect(release(record, { app: B, epoch: 9 }, [])).toBe(record);
    expect(release(record, { app: A, epoch: 9 }, [])).toEqual(NO_NAMES);
  });

  test("keep the latest record that they were claimed for, though an earlier claim comes late", () => {
    const record = claimed(claimed(NO_NAMES, A, 9, [WWW]), A, 6, [WWW]);
    expect(release(record, { app: A, epoch: 8 }, [])).toBe(record);
  });

  test("have no room without end", () => {
    const many = Array.from({ length: 3_000 }, (_, at) => hostnameClaim(`host-${at}.example.com`));
    expect(claim(NO_NAMES, { app: A, epoch: 1 }, many)).toEqual({ ok: false, error: { code: "full" } });
  });

  test("are read as they were written", () => {
    const record = claimed(NO_NAMES, A, 2, [WWW, API]);
    expect(decodeNames(encodeNames(record))).toEqual({ ok: true, value: record });
  });
});
