// Clock: milliseconds since 1970 that only move forward. What people set on the wall clock while we run is not seen here,
// so that one clock serves deadlines and what is told to others.

export function monotonicUnixMs(): number {
  return performance.timeOrigin + performance.now();
}
