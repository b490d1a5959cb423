// Style: of the pictures, light and dark, as classes with plain colours: so that whatever draws an SVG can draw these. The paper is part of the
// picture, since a page may be dark where the reader's system is not.

const LIGHT = {
  paper: "#ffffff",
  border: "#d0d7de",
  ink: "#1f2328",
  soft: "#57606a",
  band: "#f3f5f7",
  old: "#0a69da",
  oldTint: "#cfe5ff",
  fresh: "#b14a00",
  freshTint: "#ffd9b8",
  quiet: "#e3e7eb",
  good: "#116329",
} as const;

const DARK: Readonly<Record<keyof typeof LIGHT, string>> = {
  paper: "#0d1117",
  border: "#3d444d",
  ink: "#e6edf3",
  soft: "#9ea7b1",
  band: "#171c24",
  old: "#6cb6ff",
  oldTint: "#173f70",
  fresh: "#ffa657",
  freshTint: "#6b3405",
  quiet: "#2c333c",
  good: "#56d364",
};

function rules(color: Readonly<Record<keyof typeof LIGHT, string>>): string {
  return [
    `text{fill:${color.ink}}.soft{fill:${color.soft}}`,
    `.paper{fill:${color.paper};stroke:${color.border}}.band{fill:${color.band}}.line{stroke:${color.border}}`,
    `.old{fill:${color.oldTint};stroke:${color.old}}.fresh{fill:${color.freshTint};stroke:${color.fresh}}`,
    `.quiet{fill:${color.quiet};stroke:${color.soft}}.wait{fill:none}`,
    `.ticks.old{fill:none;stroke:${color.old}}.ticks.fresh{fill:none;stroke:${color.fresh}}`,
    `.ack{fill:${color.good};stroke:${color.paper}}`,
  ].join("");
}

export const STYLE: string = [
  'text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}',
  ".b{font-weight:600}.m{text-anchor:middle}.e{text-anchor:end}.wait{stroke-dasharray:4 3}.ticks{stroke-width:1.4}",
  rules(LIGHT),
  `@media (prefers-color-scheme:dark){${rules(DARK)}}`,
].join("");
