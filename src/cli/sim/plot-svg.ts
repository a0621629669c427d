import { type Plot, scalesOf } from './plot.ts'

const WIDTH = 720
const HEIGHT = 300
const LEFT = 70
const RIGHT = 20
const TOP = 48
const BOTTOM = 74
/** Told apart by most colour-blind eyes too (Okabe and Ito), and light enough for a dark page. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6d1f', '#7f7f7f'] as const

/** Colours of text and lines follow the reader's page; nothing is loaded from elsewhere. */
const STYLE = `text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:14px}
.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.page{fill:#fff}@media (prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#3d444d}.page{fill:#0d1117}}`

/** Plots below one another, as one self-contained SVG. */
export function plotSvg(plots: readonly Plot[]): string {
  const height = plots.length * HEIGHT
  const body = plots.map((plot, i) => `<g transform="translate(0 ${i * HEIGHT})">\n${one(plot)}\n</g>`)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(plots.map(({ title }) => title).join('; '))}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    ...body,
    '</svg>\n',
  ].join('\n')
}

function one(plot: Plot): string {
  const { x, y } = scalesOf(plot)
  const across = (at: number) => tenths(LEFT + at * (WIDTH - LEFT - RIGHT))
  const up = (at: number) => tenths(HEIGHT - BOTTOM - at * (HEIGHT - TOP - BOTTOM))
  const lines = [text(LEFT, 20, plot.title, 'class="title"'), text(LEFT, TOP - 10, y.label, 'opacity="0.7"')]
  for (const { at, text: mark } of y.marks) {
    lines.push(`<path class="grid" d="M${LEFT} ${up(at)}H${WIDTH - RIGHT}"/>`)
    lines.push(text(LEFT - 8, up(at) + 4, mark, 'text-anchor="end"'))
  }
  for (const { at, text: mark } of x.marks)
    lines.push(text(across(at), HEIGHT - BOTTOM + 18, mark, 'text-anchor="middle"'))
  lines.push(text(WIDTH - RIGHT, HEIGHT - BOTTOM + 36, x.label, 'text-anchor="end" opacity="0.7"'))
  for (const [i, { points }] of [...plot.series.entries()].toReversed()) {
    const colour = COLOURS[i % COLOURS.length] as string
    const path = points.map(([px, py]) => `${across(x.at(px))} ${up(y.at(py))}`).join('L')
    if (path !== '') lines.push(`<path class="line" stroke="${colour}" d="M${path}"/>`)
    if (points.length <= DOTS_MAX)
      lines.push(
        dots(
          points.map(([px, py]) => [across(x.at(px)), up(y.at(py))]),
          colour,
        ),
      )
  }
  if (plot.series.length > 1) lines.push(legend(plot))
  return lines.join('\n')
}

/** More points than this are a line. */
const DOTS_MAX = 12

function dots(points: readonly (readonly number[])[], colour: string): string {
  return points.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`).join('')
}

/** Room for a sign, and for a letter of its name, whatever the font. */
const SIGN_WIDTH = 30
const LETTER_WIDTH = 6.4

function legend({ series }: Plot): string {
  const y = HEIGHT - 16
  let x = LEFT
  const entries = series.map(({ name }, i) => {
    const sign = `<rect x="${tenths(x)}" y="${y - 9}" width="10" height="10" rx="2" fill="${COLOURS[i % COLOURS.length]}"/>`
    const entry = `${sign}${text(tenths(x + 15), y, name, '')}`
    x += SIGN_WIDTH + LETTER_WIDTH * name.length
    return entry
  })
  return entries.join('')
}

function text(x: number, y: number, what: string, how: string): string {
  return `<text x="${x}" y="${y}" ${how}>${escaped(what)}</text>`
}

const tenths = (value: number) => Math.round(value * 10) / 10

function escaped(what: string): string {
  return what.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
