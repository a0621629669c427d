/** Figures of two makes side by side. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** One line: medians, then the ratio ours/theirs, then the ranges. */
export function row(name: string, ours: readonly number[], theirs: readonly number[], digits = 0): string {
  const [a, b] = [median(ours), median(theirs)]
  const cells = [a.toFixed(digits), b.toFixed(digits), ratio(a, b)].map(cell => cell.padStart(11))
  return `${name.padEnd(42)}${cells.join('')}   ${range(ours, digits)} / ${range(theirs, digits)}`
}

export function head(name: string, theirs: string): string {
  const cells = ['muster', theirs, 'ratio'].map(cell => cell.padStart(11))
  return `\n${name.padEnd(42)}${cells.join('')}   ranges`
}

/** None of two counts of nothing. */
function ratio(a: number, b: number): string {
  return b === 0 ? '–' : (a / b).toFixed(3)
}

function range(values: readonly number[], digits: number): string {
  return `${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}`
}
