import { groupBy } from '../../../base/index.ts'

/** What HAProxy counts of one server. */
export interface ServerSample {
  /** Of the entry. */
  readonly key: string
  readonly pool: string
  /** Average of HAProxy's last 1024 answers, ms. */
  readonly responseMs: number
  /** Since HAProxy's start. */
  readonly requests: number
}

/** Between two samples that are compared, ms. */
export const SAMPLE_MS = 5_000
/** So often in a row, and its share is halved; so often good in a row, and it is doubled again. */
const IN_A_ROW = 3
const SHARE_MIN = 0.25
const REQUESTS_MIN = 20
/** A pool of two has no majority. */
const SERVERS_MIN = 3
const SLOW_RATIO = 3
const SLOW_MS = 50
const GOOD_RATIO = 1.5

interface Track {
  requests: number
  slow: number
  good: number
  share: number
}

/**
 * Servers that are much slower than the others of their pool get less, and their share back when they are as quick as they (outlier
 * detection as in Envoy, by latency, and gently: nobody is taken out). Never more than a third of a pool. Pure.
 */
export class Outliers {
  readonly #tracks = new Map<string, Track>()
  #acts = false

  /** Somebody has less than its share. */
  get acts(): boolean {
    return this.#acts
  }

  /** The next sample, `SAMPLE_MS` after the one before, of every server that takes traffic. */
  sample(samples: readonly ServerSample[]): void {
    const present = new Set(samples.map(({ key }) => key))
    for (const key of this.#tracks.keys()) if (!present.has(key)) this.#tracks.delete(key)
    for (const pool of groupBy(samples, sample => sample.pool).values()) this.#judge(pool)
    this.#acts = [...this.#tracks.values()].some(({ share }) => share < 1)
  }

  /** Its share of what it would get otherwise: 1, 0.5 or 0.25. */
  shareOf(key: string): number {
    return this.#tracks.get(key)?.share ?? 1
  }

  #judge(samples: readonly ServerSample[]): void {
    const busy = samples.filter(sample => this.#answeredBy(sample) >= REQUESTS_MIN)
    if (samples.length < SERVERS_MIN) for (const { key } of samples) this.#forgive(key)
    if (busy.length < SERVERS_MIN) return
    const middle = medianOf(busy.map(({ responseMs }) => responseMs))
    for (const { key, responseMs } of busy) this.#compare(key, responseMs, middle, samples)
  }

  /**
   * Its requests since it was last judged; HAProxy starts counting anew with each reload. Whoever has less than its share would seldom
   * have enough between two samples to be judged again: its requests add up.
   */
  #answeredBy({ key, requests }: ServerSample): number {
    const track = this.#tracks.get(key) ?? { requests, slow: 0, good: 0, share: 1 }
    this.#tracks.set(key, track)
    if (requests < track.requests) track.requests = requests
    const answered = requests - track.requests
    if (answered >= REQUESTS_MIN || track.share === 1) track.requests = requests
    return answered
  }

  /** In a pool that has become too small to judge by. */
  #forgive(key: string): void {
    const track = this.#tracks.get(key)
    if (track !== undefined) Object.assign(track, { slow: 0, good: 0, share: 1 })
  }

  #compare(key: string, responseMs: number, middleMs: number, pool: readonly ServerSample[]): void {
    const track = this.#tracks.get(key)
    if (track === undefined) return
    const isSlow = responseMs > SLOW_RATIO * middleMs && responseMs > middleMs + SLOW_MS
    track.slow = isSlow ? track.slow + 1 : 0
    track.good = responseMs <= GOOD_RATIO * middleMs + 1 ? track.good + 1 : 0
    if (track.slow >= IN_A_ROW && track.share > SHARE_MIN && this.#mayHalve(key, pool)) {
      track.share /= 2
      track.slow = 0
    }
    if (track.good >= IN_A_ROW && track.share < 1) {
      track.share *= 2
      track.good = 0
    }
  }

  #mayHalve(key: string, pool: readonly ServerSample[]): boolean {
    const others = pool.filter(sample => sample.key !== key && this.shareOf(sample.key) < 1).length
    return others < Math.max(1, Math.floor(pool.length / 3))
  }
}

/** Weights can only be whole, so that all of a pool are multiplied while somebody's share is less than one. */
const SCALE = 8
const WEIGHT_MAX = 256

/**
 * The weights of a pool with everybody's share.
 * @returns in the order of the servers; those given while all have a share of 1
 */
export function sharedWeights(servers: readonly { readonly weight: number; readonly share: number }[]): number[] {
  if (servers.every(({ share }) => share === 1)) return servers.map(({ weight }) => weight)
  const largest = Math.max(1, ...servers.map(({ weight }) => weight))
  const scale = Math.max(1, Math.min(SCALE, Math.floor(WEIGHT_MAX / largest)))
  return servers.map(({ weight, share }) => (weight === 0 ? 0 : Math.max(1, Math.round(weight * scale * share))))
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}
