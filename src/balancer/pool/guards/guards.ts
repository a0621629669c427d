import { groupBy } from '../../../base/index.ts'
import type { Entry } from '../entry.ts'
import { Flapping } from './flapping.ts'
import { Outliers, type ServerSample, SAMPLE_MS, sharedWeights } from './outliers.ts'
import type { GuardReport } from './report.ts'

/** A server as the guards see it in traffic. */
export interface GuardedServer {
  readonly entry: Entry
  readonly responseMs: number | undefined
  readonly requests: number | undefined
}

/** What keeps a pool from harm that its servers, or the ring, would do to it. Decides nothing: the policy asks. */
export class Guards {
  readonly #flapping = new Flapping()
  readonly #outliers = new Outliers()
  #sampleAtMs = Number.NEGATIVE_INFINITY

  /** It was in traffic and is not any more, without having said so before. */
  fell(entry: Entry, nowMs: number): void {
    this.#flapping.fell(entry.key, nowMs)
  }

  /** Until when it is held out, ms of the clock. */
  heldUntilMs(entry: Entry, nowMs: number): number | undefined {
    return this.#flapping.heldUntilMs(entry.key, nowMs)
  }

  /** Whether the figures of `show stat` are wanted at this look. */
  wantsSample(nowMs: number): boolean {
    return nowMs >= this.#sampleAtMs
  }

  /** @param isWatched whether the pool's slow servers get less */
  sample(servers: readonly GuardedServer[], isWatched: (pool: string) => boolean, nowMs: number): void {
    this.#sampleAtMs = nowMs + SAMPLE_MS
    const samples = servers.flatMap(({ entry, responseMs, requests }): ServerSample[] => {
      const { pool } = entry.server
      if (responseMs === undefined || requests === undefined || !isWatched(pool)) return []
      return [{ key: entry.key, pool, responseMs, requests }]
    })
    this.#outliers.sample(samples)
  }

  /** Gives every entry its weight with its share. */
  weigh(entries: readonly Entry[]): void {
    if (!this.#outliers.acts) {
      for (const entry of entries) entry.weight = entry.server.weight
      return
    }
    for (const pool of groupBy(entries, entry => entry.server.pool).values()) {
      const shares = pool.map(entry => ({ weight: entry.server.weight, share: this.#outliers.shareOf(entry.key) }))
      for (const [i, weight] of sharedWeights(shares).entries()) (pool[i] as Entry).weight = weight
    }
  }

  /** Who acts at this moment. */
  reports(entries: readonly Entry[]): GuardReport[] {
    const slow = this.#outliers.acts ? entries.flatMap(entry => this.#slowReport(entry)) : []
    const held = entries.filter(({ decision }) => decision.held === true).map(heldReport)
    return [...held, ...slow, ...vanishedReports(entries)]
  }

  #slowReport({ key, server }: Entry): GuardReport[] {
    const share = this.#outliers.shareOf(key)
    if (share === 1) return []
    const what = `${server.name} answers much slower than the others of pool ${server.pool}: it gets ${share === 0.5 ? 'half' : 'a quarter'} of its share`
    return [{ guard: 'slow server', pool: server.pool, server: server.name, what }]
  }
}

function heldReport({ server, decision }: Entry): GuardReport {
  return { guard: 'flapping', pool: server.pool, server: server.name, what: `${server.name}: ${decision.reason}` }
}

/** Half of a pool or more failed at once is more likely a fault of the network than of the servers. */
function vanishedReports(entries: readonly Entry[]): GuardReport[] {
  if (!entries.some(({ liveness }) => liveness === 'failed')) return []
  return [...groupBy(entries, entry => entry.server.pool)].flatMap(([pool, all]) => {
    const failed = all.filter(({ liveness, decision }) => liveness === 'failed' && decision.stance === 'ready').length
    if (failed < 2 || failed * 2 < all.length) return []
    const what = `${failed} of ${all.length} servers of pool ${pool} have failed as far as the ring knows; they stay in traffic under HAProxy's own checks`
    return [{ guard: 'mass disappearance', pool, what }]
  })
}
