// Proxy part: node and proxy-agent share nothing but mesh. This is the one place that names both, by address, not by import.

/** A file of proxy-agent/. */
export async function proxyPart<Part>(file: string): Promise<Part> {
  return import(new URL(`../../proxy-agent/${file}`, import.meta.url).href);
}
