// App record: a desired record of an app as tests of the registers swap it in: of a usual size, and told apart by its last release.

import { type AppName, type AppRecord, encodeAppRecord, memberName, vmName } from "../../mesh/index.ts";

const VMS = 3;

export function appRecord(app: AppName, lastRelease: number): AppRecord {
  return {
    format: 1,
    app,
    deleted: false,
    hostnames: [`${app}.example.com`],
    releases: [],
    current: null,
    lastRelease,
    vms: Array.from({ length: VMS }, (_, at) => ({
      vm: vmName(`${app}-${at}`),
      release: lastRelease,
      host: memberName(`host-${at}`),
      phase: "serving",
      requires: null,
    })),
    rollout: null,
  };
}

export function encodedRecord(app: AppName): Uint8Array {
  return encodeAppRecord(appRecord(app, 1));
}
