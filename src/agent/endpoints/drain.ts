/**
 * Taking a server away, agreed with every balancer: the asker sends a Serf query to all balancers, each answers with how many
 * requests and sessions are left on the endpoint there. A query has one answer per node, so the asker repeats it.
 */
import { type Clock, sleep } from '../../base/index.ts'

/** The query's name. */
export const DRAIN_QUERY = 'muster-drain'
/** Queries of Muster's own: neither handlers nor people are told of them. */
export function isOwnBusiness(event: { readonly kind: string; readonly name?: string }): boolean {
  return event.kind === 'query' && event.name === DRAIN_QUERY
}

/** Between two questions; also how long each waits for its answers. */
const ASK_AGAIN_MS = 250

/** One endpoint, as the asker's own tags announce it. */
export interface DrainRequest {
  readonly ip: string
  readonly port: number
}

/** What the asker needs of the cluster. */
export interface DrainCluster {
  /** Names of alive balancers. */
  balancers(): readonly string[]
  /** Asks all balancers once; resolves with the answers that came within `timeoutMs`. */
  ask(payload: Uint8Array, timeoutMs: number): Promise<ReadonlyMap<string, Uint8Array>>
}

/** Who was still busy or silent when waiting ended; empty: every balancer has let go. */
export interface DrainOutcome {
  readonly left: ReadonlyMap<string, number>
  readonly silent: readonly string[]
}

/**
 * Asks until nothing is left anywhere.
 * @returns the last answers, when all balancers have answered 0 or `signal` is aborted
 */
export async function drainEverywhere(
  cluster: DrainCluster,
  request: DrainRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<DrainOutcome> {
  const payload = encodeDrainRequest(request)
  for (;;) {
    const startedMs = clock.nowMs()
    const answers = await cluster.ask(payload, ASK_AGAIN_MS)
    const balancers = cluster.balancers()
    const left = new Map([...answers].map(([from, answer]) => [from, decodeDrainAnswer(answer)]))
    const silent = balancers.filter(name => !left.has(name))
    const busy = new Map([...left].filter(([name, count]) => count > 0 && balancers.includes(name)))
    if (signal.aborted || (busy.size === 0 && silent.length === 0)) return { left: busy, silent }
    await sleep(clock, Math.max(0, startedMs + ASK_AGAIN_MS - clock.nowMs()), signal).catch(() => undefined) // aborted: ask once more
  }
}

export function encodeDrainRequest(request: DrainRequest): Uint8Array {
  return Buffer.from(`${request.ip} ${request.port}`)
}

/** Undefined for anything but an address and a port. */
export function decodeDrainRequest(payload: Uint8Array): DrainRequest | undefined {
  const found = /^([0-9a-fA-F:.]{2,45}) (\d{1,5})$/.exec(Buffer.from(payload.subarray(0, 64)).toString('latin1'))
  return found === null ? undefined : { ip: found[1] as string, port: Number(found[2]) }
}

export function encodeDrainAnswer(left: number): Uint8Array {
  return Buffer.from(String(left))
}

/** Nonsense counts as busy: nobody is cut off because somebody else is confused. */
function decodeDrainAnswer(payload: Uint8Array): number {
  const text = Buffer.from(payload.subarray(0, 16)).toString('latin1')
  return /^\d{1,9}$/.test(text) ? Number(text) : 1
}
