import { type Clock, type Log, messageOf, type Random, sleep } from '../base/index.ts'

/** What the joiner needs of the cluster. */
export interface Joinable {
  /** Contacts each address once; resolves with how many answered and why the others did not. */
  join(
    addresses: readonly string[],
  ): Promise<{ contacted: number; errors: readonly { readonly address: string; readonly error: unknown }[] }>
  /** Whether another member is alive. */
  hasCompany(): boolean
}

export interface JoinerConfig {
  /** `host`, `host:port`, `name/host:port`; any member will do, several are better. */
  readonly addresses: readonly string[]
  /** Longest pause between two tries, milliseconds. */
  readonly retryIntervalMs: number
}

/** First pause after a failed try; doubles up to `retryIntervalMs`. */
const FIRST_RETRY_MS = 100

/**
 * Joins, and keeps trying for ever: the first node may be missing, every start order works, and an agent never ends because
 * a peer is not there. An address is done with when it has answered once, since gossip knows the rest; when this node
 * later finds itself alone, all of them are tried again. What is wrong is said once, and once more when it is over.
 *
 * @param onJoined called after each try that reached somebody; an answer of this node itself, whose own address is in the
 *   list that all nodes share, is none
 * @returns when `signal` is aborted; never throws
 */
export async function keepJoined(
  config: JoinerConfig,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  cluster: Joinable,
  onJoined: () => void,
  signal: AbortSignal,
): Promise<void> {
  const missing = new Set(config.addresses)
  let pauseMs = FIRST_RETRY_MS
  let complained = false
  while (!signal.aborted && config.addresses.length > 0) {
    if (missing.size === 0 && !cluster.hasCompany()) for (const address of config.addresses) missing.add(address)
    if (missing.size > 0) {
      const outcome = await orAborted(tryAll(cluster, missing, signal), signal)
      if (outcome === undefined) return
      if (outcome.contacted > 0 && cluster.hasCompany()) {
        deps.log.info({ contacted: outcome.contacted }, 'joined the cluster')
        complained = false
        onJoined()
      } else if (!complained && !cluster.hasCompany()) {
        deps.log.warn(
          { errors: outcome.errors },
          'nobody to join answers yet; trying on, this node works alone meanwhile',
        )
        complained = true
      }
    }
    pauseMs = missing.size === 0 ? config.retryIntervalMs : Math.min(pauseMs * 2, config.retryIntervalMs)
    await sleep(deps.clock, pauseMs * (0.75 + deps.random.float() / 2), signal).catch(() => undefined) // aborted: the loop ends
  }
}

/** Tries every missing address at once and takes those that answered off the list. */
async function tryAll(cluster: Joinable, missing: Set<string>, signal: AbortSignal) {
  const outcomes = await Promise.all(
    [...missing].map(async address => ({ address, outcome: await tryOne(cluster, address) })),
  )
  if (signal.aborted) return { contacted: 0, errors: [] }
  for (const { address, outcome } of outcomes) if (outcome.contacted > 0) missing.delete(address)
  return {
    contacted: outcomes.filter(({ outcome }) => outcome.contacted > 0).length,
    errors: outcomes.flatMap(({ outcome }) =>
      outcome.errors.map(({ address, error }) => `${address}: ${messageOf(error)}`),
    ),
  }
}

/** A cluster that takes no joins any more (it leaves, or has lost its name) is an address that does not answer. */
async function tryOne(cluster: Joinable, address: string): ReturnType<Joinable['join']> {
  try {
    return await cluster.join([address])
  } catch (error) {
    return { contacted: 0, errors: [{ address, error }] }
  }
}

/** A peer that is silent for 10 s must not hold up the end. @returns undefined when `signal` is aborted first */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
