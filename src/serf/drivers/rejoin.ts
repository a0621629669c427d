import { type Clock, type Log, type Random, shuffle, sleep } from '../../base/index.ts'

/** What a rejoin needs of the ring. */
export interface Rejoinable {
  /** Whether the peer answered. Never rejects. */
  join(address: string): Promise<boolean>
  /** We are alive, and nobody else is. */
  isAlone(): boolean
}

/** A peer that is silent takes ten seconds. */
const AT_A_TIME = 8
const PAUSE_MS_MIN = 500
const PAUSE_MS_MAX = 30_000

/**
 * Tries the peers of the snapshot, a few at a time, until one answers or somebody else has found us; no join intent, as Serf.
 * Serf tries them once: after a power failure, when all start at the same time, nobody is found. Never rejects.
 */
export async function rejoin(
  known: readonly string[],
  ring: Rejoinable,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, random } = deps
  const peers = shuffle([...known], random)
  let pauseMs = PAUSE_MS_MIN
  for (let round = 0; peers.length > 0; round++) {
    for (let at = 0; at < peers.length; at += AT_A_TIME) {
      if (signal.aborted || !ring.isAlone()) return
      const answered = await Promise.all(peers.slice(at, at + AT_A_TIME).map(peer => ring.join(peer)))
      if (answered.includes(true)) return log.info({}, 'rejoined through a peer of the snapshot')
    }
    if (round === 0) log.warn({ tried: peers.length }, 'no peer of the snapshot answered; trying on')
    await sleep(clock, pauseMs * (0.75 + random.float() / 2), signal).catch(() => undefined) // aborted: the loop ends
    pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)
  }
}
