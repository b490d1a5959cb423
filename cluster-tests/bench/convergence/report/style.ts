// Style: of the page, in one place. Light, dark where the reader's system is, and light again on paper.

export const STYLE: string = `
:root { --ink: #1b1f24; --soft: #5c6570; --paper: #ffffff; --panel: #f6f5f9; --line: #dfe1e6; --grid: #e9eaee;
  --ours: #6a2c91; --each: #b07cd1; --store: #6a2c91; --raw: #7f8792; --streams: #0969b5; --serf: #c4560c; --bad: #c2182b; --good: #1a7f4b; }
@media (prefers-color-scheme: dark) and (not print) { :root { --ink: #e7e9ee; --soft: #a0a8b4; --paper: #15171c; --panel: #1e2128;
  --line: #343943; --grid: #2a2e37; --ours: #c792ea; --each: #8b63a8; --store: #c792ea; --raw: #8f98a5; --streams: #61aeee;
  --serf: #f0945a; --bad: #ff6b7a; --good: #5cc98f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 40px 28px 64px; max-width: 1000px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 40px 0 4px; }
h3 { font-size: 14px; font-weight: 600; margin: 18px 0 0; }
p { margin: 4px 0 12px; max-width: 78ch; }
.lead, .note, figcaption { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 24px 0 8px; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 25px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.good b { color: var(--good); } .bad b { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 10px 0 4px; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
tr.main td { font-weight: 600; }
.wide { overflow-x: auto; }
figure { margin: 10px 0 0; }
svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--grid); stroke-width: 1; }
.tick, .label { fill: var(--soft); font-size: 12px; } .label { font-size: 13px; }
.middle { text-anchor: middle; } .end { text-anchor: end; }
.curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.ours { stroke: var(--ours); stroke-width: 3; } .each { stroke: var(--each); stroke-dasharray: 7 4; }
.store { stroke: var(--store); stroke-dasharray: 2 4; } .raw { stroke: var(--raw); } .streams { stroke: var(--streams); }
.serf { stroke: var(--serf); }
.dot { fill: var(--ours); fill-opacity: 0.75; } .lost { fill: var(--bad); font-size: 14px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 8px 0 0; padding: 0; list-style: none; font-size: 13px; }
.legend svg { display: inline-block; width: 30px; height: 10px; margin-right: 7px; vertical-align: middle; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; overflow-x: auto;
  font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; white-space: pre-wrap; }
@media print { body { padding: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; } figure, .tile, table, pre { break-inside: avoid; } }
`;
