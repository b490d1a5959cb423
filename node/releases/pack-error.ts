// Pack error: why an app's folder makes no bundle. Its owner's to mend; nothing was sent or stored.

/**
 * - `too-large`, `too-many-files`: over the bounds of bundle-limits; the biggest part is named.
 * - `link-outside`: a link would lead somewhere else on another host.
 * - `unsupported`: something that is no file, folder or link.
 * - `unreadable`: it is not there, we may not read it, or it changed while it was read.
 */
export class PackError extends Error {
  override readonly name = "PackError";
  readonly code: "too-large" | "too-many-files" | "link-outside" | "unsupported" | "unreadable";
  constructor(code: PackError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
