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
 * @param onJoined called as soon as one address of a round has answered, however long the others take; an answer of this node itself, whose own address is in the
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
      let hasJoined = false
      const answered = (address: string) => {
        missing.delete(address)
        if (signal.aborted || hasJoined || !cluster.hasCompany()) return
        deps.log.info({ address }, 'joined the cluster')
        hasJoined = true
        complained = false
        onJoined()
      }
      const errors = await orAborted(tryAll(cluster, missing, answered), signal)
      if (errors === undefined) return
      if (!complained && !cluster.hasCompany()) {
        deps.log.warn({ errors }, 'nobody to join answers yet; trying on, this node works alone meanwhile')
        complained = true
      }
    }
    pauseMs = missing.size === 0 ? config.retryIntervalMs : Math.min(pauseMs * 2, config.retryIntervalMs)
    await sleep(deps.clock, pauseMs * (0.75 + deps.random.float() / 2), signal).catch(() => undefined) // aborted: the loop ends
  }
}

/** Tries every address at once, and says which answered, as they do. @returns why the others did not */
async function tryAll(cluster: Joinable, addresses: Iterable<string>, answered: (address: string) => void) {
  const tries = [...addresses].map(async address => {
    const { contacted, errors } = await tryOne(cluster, address)
    if (contacted > 0) answered(address)
    return errors.map(({ address: failed, error }) => `${failed}: ${messageOf(error)}`)
  })
  return (await Promise.all(tries)).flat()
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
