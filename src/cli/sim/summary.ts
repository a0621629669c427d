import { type Cost, mean, percentile, type Report, type SpreadKind, sum } from '../../simulator/index.ts'

/** Several runs of one scenario, as one. */
export interface Summary {
  readonly runs: number
  /** Mean of all runs, and the worst. */
  readonly moments: readonly Moment[]
  /** Median over the runs that ever agreed. */
  readonly agreedAtMs: number | undefined
  readonly agreedRuns: number
  /** Mean over the runs, and the most in any. */
  readonly falsePositives: { readonly mean: number; readonly max: number; readonly byHealthyMean: number }
  readonly news: readonly NewsSummary[]
  readonly cost: Cost
}

export interface Moment extends Cost {
  readonly atMs: number
  readonly agreement: number
  readonly agreementMin: number
  readonly falsePositives: number
}

/** How one kind of news spread. Medians in milliseconds, and the last of all. */
export interface NewsSummary {
  readonly kind: SpreadKind
  readonly count: number
  /** How many of them came to everybody. */
  readonly complete: number
  readonly firstMs: number | undefined
  readonly halfMs: number | undefined
  readonly lastMs: number | undefined
  readonly lastMs99: number | undefined
}

export function summaryOf(reports: readonly Report[]): Summary {
  const agreed = reports.flatMap(({ agreedAtMs }) => agreedAtMs ?? [])
  const falsePositives = reports.map(report => report.falsePositives)
  return {
    runs: reports.length,
    moments: momentsOf(reports),
    agreedAtMs: percentile(agreed, 0.5),
    agreedRuns: agreed.length,
    falsePositives: {
      mean: mean(falsePositives),
      max: Math.max(0, ...falsePositives),
      byHealthyMean: mean(reports.map(report => report.falsePositivesHealthy)),
    },
    news: newsOf(reports),
    cost: meanCost(reports.map(({ cost }) => cost)),
  }
}

function momentsOf(reports: readonly Report[]): Moment[] {
  return (reports[0]?.samples ?? []).map(({ atMs }, i) => {
    const samples = reports.flatMap(report => report.samples[i] ?? [])
    const agreements = samples.map(({ agreement }) => agreement)
    const falsePositives = mean(samples.map(sample => sample.falsePositives))
    const agreementMin = Math.min(...agreements)
    return { atMs, agreement: mean(agreements), agreementMin, falsePositives, ...meanCost(samples) }
  })
}

function newsOf(reports: readonly Report[]): NewsSummary[] {
  const all = reports.flatMap(({ spreads }) => spreads)
  const kinds = [...new Set(all.map(({ kind }) => kind))].toSorted()
  return kinds.map(kind => {
    const these = all.filter(spread => spread.kind === kind && spread.audience > 0)
    const at = (key: 'firstMs' | 'halfMs' | 'lastMs', share: number) =>
      percentile(
        these.flatMap(spread => spread[key] ?? []),
        share,
      )
    return {
      kind,
      count: these.length,
      complete: sum(these.map(({ lastMs }) => (lastMs === undefined ? 0 : 1))),
      firstMs: at('firstMs', 0.5),
      halfMs: at('halfMs', 0.5),
      lastMs: at('lastMs', 0.5),
      lastMs99: at('lastMs', 0.99),
    }
  })
}

export function meanCost(costs: readonly Cost[]): Cost {
  const of = (key: keyof Cost) => mean(costs.map(cost => cost[key]))
  return {
    packets: of('packets'),
    packetBytes: of('packetBytes'),
    streams: of('streams'),
    streamBytes: of('streamBytes'),
  }
}
