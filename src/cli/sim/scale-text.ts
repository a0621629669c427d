import { expectedMs, percentile, type ScaleResult, type SpreadKind } from '../../simulator/index.ts'
import { formatTable } from '../table.ts'
import { type Plot, shortest } from './plot.ts'
import { plotText } from './plot-text.ts'
import { seedsText, shown } from './scenario-text.ts'
import { meanCost } from './summary.ts'

const KINDS: readonly SpreadKind[] = ['join', 'leave', 'crash', 'event']
const NAMES: Readonly<Partial<Record<SpreadKind, string>>> = { event: 'user event' }

/** The study for people: how long news takes, beside the theory; what a member costs. */
export function scaleText(results: readonly ScaleResult[], seeds: readonly number[], width: number): string {
  return [
    `Until everybody knows, from the moment it happens: median of ${seedsText(seeds)}`,
    formatTable(scaleRows(results)),
    'What a member sends while nothing happens',
    formatTable(costRows(results)),
    ...scalePlots(results).map(plot => plotText(plot, width)),
  ].join('\n\n')
}

function scaleRows(results: readonly ScaleResult[]): string[][] {
  const head = ['members', 'news', 'first', 'half', 'last', 'slowest run', 'theory', 'to all']
  return [head, ...KINDS.flatMap(kind => sizesOf(results).flatMap(members => rowOf(results, kind, members)))]
}

function costRows(results: readonly ScaleResult[]): string[][] {
  const head = ['members', 'packets/s', 'B/s', 'streams/s', 'B/s over streams']
  const rows = sizesOf(results).map(members => {
    const these = results.filter(one => one.members === members && one.core === 'memberlist')
    const { packets, packetBytes, streams, streamBytes } = meanCost(these.map(({ idle }) => idle))
    return [String(members), ...[packets, packetBytes, streams, streamBytes].map(shortest)]
  })
  return [head, ...rows]
}

export function scalePlots(results: readonly ScaleResult[]): Plot[] {
  const sizes = sizesOf(results)
  const x = { label: 'members, logarithmic', scale: 'log', marks: sizes, min: sizes[0] ?? 1 } as const
  const line = (kind: SpreadKind, of: (members: number) => number | undefined) =>
    sizes.flatMap(members => {
      const ms = of(members)
      return ms === undefined ? [] : [[members, ms / 1000] as const]
    })
  const both = (kind: SpreadKind) => [
    { name: NAMES[kind] ?? kind, points: line(kind, members => lastOf(results, kind, members, 0.5)) },
  ]
  const theory = (kind: SpreadKind) => ({ name: 'theory', points: line(kind, members => expectedMs(kind, members)) })
  return [
    {
      title: 'Until everybody knows',
      x,
      y: { label: 'seconds' },
      series: [...both('join'), ...both('leave'), ...both('event'), theory('join')],
    },
    {
      title: 'Until everybody knows of a crash',
      x,
      y: { label: 'seconds' },
      series: [...both('crash'), theory('crash')],
    },
  ]
}

function rowOf(results: readonly ScaleResult[], kind: SpreadKind, members: number): string[][] {
  const spreads = spreadsOf(results, kind, members)
  if (spreads.length === 0) return []
  const at = (key: 'firstMs' | 'halfMs' | 'lastMs', share: number) =>
    shown(
      percentile(
        spreads.flatMap(spread => spread[key] ?? []),
        share,
      ),
    )
  const complete = spreads.filter(({ lastMs }) => lastMs !== undefined).length
  const times = [at('firstMs', 0.5), at('halfMs', 0.5), at('lastMs', 0.5), at('lastMs', 1)]
  const theory = shown(expectedMs(kind, members))
  return [[String(members), NAMES[kind] ?? kind, ...times, theory, `${complete} of ${spreads.length}`]]
}

function lastOf(results: readonly ScaleResult[], kind: SpreadKind, members: number, share: number): number | undefined {
  return percentile(
    spreadsOf(results, kind, members).flatMap(({ lastMs }) => lastMs ?? []),
    share,
  )
}

const spreadsOf = (results: readonly ScaleResult[], kind: SpreadKind, members: number) =>
  results.filter(one => one.members === members).flatMap(({ spreads }) => spreads.filter(one => one.kind === kind))
const sizesOf = (results: readonly ScaleResult[]) =>
  [...new Set(results.map(({ members }) => members))].toSorted((a, b) => a - b)
