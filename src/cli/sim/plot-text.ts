import { type Plot, type Scale, scalesOf } from './plot.ts'

const SIGNS = ['●', '▲', '■', '◆', '○', '△', '□', '◇'] as const

/**
 * A plot for a terminal: a grid of signs, one for each series, marks at the left and below.
 * @param width of the whole, in columns; at least 40
 */
export function plotText(plot: Plot, width = 78, height = 12): string {
  const { x, y } = scalesOf(plot)
  const margin = Math.max(...y.marks.map(({ text }) => text.length))
  const columns = Math.max(20, width - margin - 2)
  const grid = Array.from({ length: height }, () => Array.from<string>({ length: columns }).fill(' '))
  // The first series is drawn last: it is the one that matters where they meet.
  for (const [i, { points }] of [...plot.series.entries()].toReversed())
    draw(grid, points, x, y, SIGNS[i % SIGNS.length] as string)
  const labels = Array.from<string>({ length: height }).fill('')
  for (const { at, text } of y.marks) labels[Math.round((1 - at) * (height - 1))] = text
  const rows = grid.map((row, i) => {
    const label = labels[i] ?? ''
    return `${label.padStart(margin)} ${label === '' ? '│' : '┤'}${row.join('')}`.trimEnd()
  })
  const axis = `${' '.repeat(margin)} └${'─'.repeat(columns)}`
  const below = `${' '.repeat(margin + 2)}${marksBelow(x, columns)}`.trimEnd()
  const names = plot.series.length < 2 ? [] : [legend(plot)]
  return [`${plot.title} (${y.label})`, ...rows, axis, below, `${' '.repeat(margin + 2)}${x.label}`, ...names].join(
    '\n',
  )
}

function legend({ series }: Plot): string {
  return series.map(({ name }, i) => `${SIGNS[i % SIGNS.length]} ${name}`).join('   ')
}

/** Point to point, a sign in every column on the way. */
function draw(grid: string[][], points: Plot['series'][number]['points'], x: Scale, y: Scale, sign: string): void {
  const height = grid.length
  const columns = grid[0]?.length ?? 0
  let last: { column: number; row: number } | undefined
  for (const [px, py] of points) {
    const column = Math.round(x.at(px) * (columns - 1))
    const row = (1 - y.at(py)) * (height - 1)
    const from = last ?? { column, row }
    for (let at = from.column; at <= column; at++) {
      const share = column === from.column ? 1 : (at - from.column) / (column - from.column)
      const line = grid[Math.round(from.row + share * (row - from.row))]
      if (line !== undefined) line[at] = sign
    }
    last = { column, row }
  }
}

/** As many marks as have room. */
function marksBelow(x: Scale, columns: number): string {
  let line = ''
  for (const { at, text } of x.marks) {
    const start = Math.min(
      columns - text.length,
      Math.max(0, Math.round(at * (columns - 1)) - Math.floor(text.length / 2)),
    )
    if (start < line.length + 1 && line !== '') continue
    line = line.padEnd(start) + text
  }
  return line
}
