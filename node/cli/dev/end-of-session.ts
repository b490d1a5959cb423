// End of session: Ctrl-C, `kill`, or a terminal that closed, for a command that must take apart what it started.

/** Aborts at the first of them. Later ones change nothing: the end that began runs to its end. */
export function endOfSession(): AbortSignal {
  const ended = new AbortController();
  const end = (): void => ended.abort(new Error("interrupted"));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  // Whoever read our output may be gone, the terminal too: that is no reason to leave processes behind.
  process.stdout.removeAllListeners("error").on("error", () => {});
  process.stderr.on("error", () => {});
  return ended.signal;
}
