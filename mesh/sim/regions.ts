// Regions: where members are, and how long one way between them takes. The matrix is that of libp2p's interoperability
// tests for gossipsub (libp2p/test-plans, gossipsub-interop, network_graph.py): public-internet delays between clouds.

const REGIONS = [
  "australia",
  "europe",
  "east-asia",
  "west-asia",
  "na-east",
  "na-west",
  "south-africa",
  "south-america",
] as const;

/** Milliseconds one way, row to column, in the order of `REGIONS`. */
const ONE_WAY_MS: readonly (readonly number[])[] = [
  [2, 165, 110, 180, 150, 110, 220, 190],
  [165, 2, 125, 60, 70, 110, 95, 140],
  [110, 125, 4, 110, 140, 100, 175, 175],
  [180, 60, 110, 5, 110, 150, 110, 145],
  [150, 70, 140, 110, 2, 60, 130, 100],
  [110, 110, 100, 150, 60, 2, 160, 100],
  [220, 95, 175, 110, 130, 160, 7, 190],
  [190, 140, 175, 145, 100, 100, 195, 7],
];

/** The largest one-way delay of the matrix, without jitter: what targets are multiples of. */
export const ONE_WAY_MAX_MS: number = Math.max(...ONE_WAY_MS.flat());

/** Members are dealt to the regions in turn, so that each has as many. */
function regionOf(member: number): number {
  return member % REGIONS.length;
}

/** Between two members, without jitter. */
export function oneWayMs(from: number, to: number): number {
  return ONE_WAY_MS[regionOf(from)]?.[regionOf(to)] ?? ONE_WAY_MAX_MS;
}
