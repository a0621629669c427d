import type { Cost, Scenario } from '../../simulator/index.ts'
import { formatTable } from '../table.ts'
import { type Plot, shortest } from './plot.ts'
import { plotText } from './plot-text.ts'
import type { Summary } from './summary.ts'

/** A scenario's outcome for people: what it was, the figures, the plots. */
export function scenarioText(scenario: Scenario, seeds: readonly number[], summary: Summary, width?: number): string {
  const { falsePositives, agreedAtMs, agreedRuns, runs, moments } = summary
  const agreed = agreedAtMs === undefined ? 'never' : `${shown(agreedAtMs)}, in ${agreedRuns} of ${runs} runs`
  const end = moments.at(-1)
  const figures = formatTable([
    ['all agreed for the first time', agreed],
    ['views right at the end', `${((end?.agreement ?? 1) * 100).toFixed(2)} %`],
    [
      'false positives per run',
      `${shortest(falsePositives.mean)}, ${shortest(falsePositives.byHealthyMean)} of them by healthy members`,
    ],
    ['cost per member', costText(summary.cost)],
  ])
  const parts = [`${described(scenario)}; ${seedsText(seeds)}`, figures]
  if (summary.news.length > 0) parts.push(newsTable(summary))
  return [...parts, ...plotsOf(summary).map(plot => plotText(plot, width))].join('\n\n')
}

/** The plots that have something to show. */
export function plotsOf({ moments, falsePositives }: Summary): Plot[] {
  const over = (of: (moment: Summary['moments'][number]) => number) =>
    moments.map(moment => [moment.atMs / 1000, of(moment)] as const)
  const x = { label: 'seconds of virtual time', min: 0, max: (moments.at(-1)?.atMs ?? 1000) / 1000 }
  const plots: Plot[] = [
    {
      title: 'Convergence',
      x,
      y: { label: 'views that are right, %', max: 100, min: floorOf(moments) },
      series: [
        { name: 'mean', points: over(({ agreement }) => agreement * 100) },
        { name: 'worst run', points: over(({ agreementMin }) => agreementMin * 100) },
      ].slice(0, moments.some(one => one.agreement !== one.agreementMin) ? 2 : 1),
    },
    {
      title: 'Messages',
      x,
      y: { label: 'packets per member and second' },
      series: [{ name: 'packets', points: over(({ packets }) => packets) }],
    },
    {
      title: 'Bytes',
      x,
      y: { label: 'bytes per member and second' },
      series: [
        { name: 'packets', points: over(({ packetBytes }) => packetBytes) },
        { name: 'streams', points: over(({ streamBytes }) => streamBytes) },
      ],
    },
  ]
  if (falsePositives.mean === 0) return plots
  const series = [{ name: 'false positives', points: over(moment => moment.falsePositives) }]
  return [
    ...plots.slice(0, 1),
    { title: 'False positives', x, y: { label: 'until then, per run' }, series },
    ...plots.slice(1),
  ]
}

/** A ring that hardly ever disagrees fills the picture, one that does is shown from 0. */
function floorOf(moments: Summary['moments']): number {
  const worst = Math.min(1, ...moments.map(({ agreementMin }) => agreementMin)) * 100
  return worst < 80 ? 0 : Math.min(98, Math.floor(worst / 5) * 5)
}

function costText({ packets, packetBytes, streams, streamBytes }: Cost): string {
  const perStream = `${shortest(streams)} streams/s, ${shortest(streamBytes)} B/s`
  return `${shortest(packets)} packets/s, ${shortest(packetBytes)} B/s; ${perStream}`
}

function newsTable({ news }: Summary): string {
  const head = ['news', 'count', 'to all', 'first', 'half', 'last', 'last (99 %)']
  const rows = news.map(({ kind, count, complete, firstMs, halfMs, lastMs, lastMs99 }) => [
    kind,
    String(count),
    String(complete),
    ...[firstMs, halfMs, lastMs, lastMs99].map(shown),
  ])
  return formatTable([head, ...rows])
}

function described({ members, core, durationMs, formed }: Scenario): string {
  const start = formed ? 'formed at the start' : 'joining at the start'
  return `${members} members (${core}), ${start}, ${durationMs / 1000} s of virtual time`
}

/** `seeds 1 to 5`, or the one. */
export function seedsText(seeds: readonly number[]): string {
  const [first] = seeds
  return seeds.length === 1 ? `seed ${first}` : `seeds ${first} to ${seeds.at(-1)}`
}

/** Milliseconds up to two seconds, seconds above. */
export function shown(ms: number | undefined): string {
  if (ms === undefined) return '–'
  return ms < 2000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
