import { CONFIGURATIONS, percentile, sum } from '../../simulator/index.ts'
import { formatTable } from '../table.ts'
import type { CellResult } from './lifeguard-cell.ts'
import { type Plot, shortest } from './plot.ts'
import { plotText } from './plot-text.ts'
import { seedsText, shown } from './scenario-text.ts'
import { meanCost } from './summary.ts'

const NAMES = CONFIGURATIONS.map(({ name }) => name)

/** The study for people: the tables of the paper, as far as these cells go, and plots. */
export function lifeguardText(cells: readonly CellResult[], seeds: readonly number[], width: number): string {
  const rings = `${cells.length} rings of 128 members, ${seedsText(seeds)}`
  const parts = [`Lifeguard's experiments (arXiv 1707.00788): ${rings}`]
  const interval = cells.filter(({ experiment }) => experiment === 'interval')
  if (interval.length > 0) {
    parts.push(
      `Slow again and again: false positives, all (FP) and by healthy members (FP-)\n\n${falsePositives(interval)}`,
    )
    parts.push(`FP by how long each time\n\n${byDuration(interval)}`)
  }
  const threshold = cells.filter(({ experiment }) => experiment === 'threshold')
  if (threshold.length > 0)
    parts.push(`Slow once: until the slow are declared dead by healthy members\n\n${latencies(threshold)}`)
  return [...parts, ...lifeguardPlots(cells).map(plot => plotText(plot, width))].join('\n\n')
}

/** Rows of cells, for text here and Markdown in the docs. */
function falsePositiveRows(cells: readonly CellResult[]): string[][] {
  const head = ['configuration', 'FP', 'FP-', 'FP % of SWIM', 'FP- % of SWIM', 'packets/s', 'B/s']
  const all = (name: string, key: 'falsePositives' | 'falsePositivesHealthy') =>
    sum(of(cells, name).map(cell => cell[key]))
  const rows = NAMES.map(name => {
    const [fp, healthy] = [all(name, 'falsePositives'), all(name, 'falsePositivesHealthy')]
    const share = (part: number, whole: number) => (whole === 0 ? '–' : shortest((100 * part) / whole))
    const { packets, packetBytes } = meanCost(of(cells, name).map(({ cost }) => cost))
    const ofSwim = [share(fp, all('SWIM', 'falsePositives')), share(healthy, all('SWIM', 'falsePositivesHealthy'))]
    return [name, String(fp), String(healthy), ...ofSwim, shortest(packets), shortest(packetBytes)]
  })
  return [head, ...rows]
}

function durationRows(cells: readonly CellResult[]): string[][] {
  const durations = distinct(cells.map(({ forMs }) => forMs))
  const head = ['configuration', ...durations.map(ms => `${ms} ms`)]
  const rows = NAMES.map(name => [
    name,
    ...durations.map(ms => String(fpOf(of(cells, name), ({ forMs }) => forMs === ms))),
  ])
  return [head, ...rows]
}

function latencyRows(cells: readonly CellResult[]): string[][] {
  const head = ['configuration', 'slow', 'found', 'first', '99 %', '99.9 %', 'all know', '99 %', '99.9 %']
  const rows = NAMES.map(name => {
    const detections = of(cells, name).flatMap(cell => cell.detections)
    const firsts = detections.flatMap(({ firstMs }) => firstMs ?? [])
    const lasts = detections.flatMap(({ lastMs }) => lastMs ?? [])
    const times = [firsts, lasts].flatMap(values => [0.5, 0.99, 0.999].map(share => shown(percentile(values, share))))
    return [name, String(detections.length), String(firsts.length), ...times]
  })
  return [head, ...rows]
}

export function lifeguardPlots(cells: readonly CellResult[]): Plot[] {
  const interval = cells.filter(({ experiment }) => experiment === 'interval')
  if (interval.length === 0) return []
  const durations = distinct(interval.map(({ forMs }) => forMs))
  const sizes = distinct(interval.map(({ slow }) => slow))
  const y = { label: 'false positives + 1, logarithmic', scale: 'log' } as const
  const lines = (values: readonly number[], key: 'forMs' | 'slow') =>
    NAMES.map(name => ({
      name,
      points: values.map(value => [value, fpOf(of(interval, name), cell => cell[key] === value)] as const),
    }))
  return [
    {
      title: 'False positives by how long members are slow',
      x: { label: 'milliseconds each time', scale: 'log', marks: durations, min: durations[0] ?? 0, show: String },
      y,
      series: lines(durations, 'forMs'),
    },
    {
      title: 'False positives by how many of 128 are slow',
      x: { label: 'slow members', marks: sizes, min: 0 },
      y,
      series: lines(sizes, 'slow'),
    },
  ]
}

const falsePositives = (cells: readonly CellResult[]) => formatTable(falsePositiveRows(cells))
const byDuration = (cells: readonly CellResult[]) => formatTable(durationRows(cells))
const latencies = (cells: readonly CellResult[]) => formatTable(latencyRows(cells))

const of = (cells: readonly CellResult[], name: string) => cells.filter(({ configuration }) => configuration === name)
const distinct = (values: readonly number[]) => [...new Set(values)].toSorted((a, b) => a - b)

function fpOf(cells: readonly CellResult[], wanted: (cell: CellResult) => boolean): number {
  return sum(cells.filter(wanted).map(cell => cell.falsePositives))
}
