/** How soon news is everywhere: a user event at all of a ring, the acks of a query from all of it. */
import type { Ring } from './ring.ts'

const EVENT_BYTES = 64
/** Longer than a full exchange takes to bring an event that gossip has missed, or a ring of 100 gives a query (6.4 s). */
const TIMEOUT_MS = 120_000

export interface QueryTimes {
  /** Milliseconds from the call to the first ack, and to the last. */
  readonly firstMs: number
  readonly lastMs: number
  /** How many members acked before the deadline. */
  readonly acks: number
}

/** Milliseconds from the call at `from` until the streams of all `hosts` have had the event. */
export async function eventSpreadMs(ring: Ring, hosts: readonly number[], from: number, name: string): Promise<number> {
  const listen = async (host: number) =>
    (await ring.client(host)).events(`user:${name}`, AbortSignal.timeout(TIMEOUT_MS))
  const streams = await Promise.all(hosts.map(listen))
  const sender = await ring.client(from)
  const heard = streams.map(async stream => {
    for await (const event of stream) if (event.size > 0) return
    throw new Error(`the event ${name} was not everywhere within ${TIMEOUT_MS / 1000} s`)
  })
  const startedAtMs = performance.now()
  await sender.event(name, new Uint8Array(EVENT_BYTES), false)
  await Promise.all(heard)
  const tookMs = performance.now() - startedAtMs
  await Promise.all(streams.map(stream => stream.stop()))
  return tookMs
}

/** A query of `from` to everybody, with acks, until `size` have acked or its deadline (Serf's default for the ring's size). */
export async function queryTimes(ring: Ring, size: number, from: number, name: string): Promise<QueryTimes> {
  const client = await ring.client(from)
  const startedAtMs = performance.now()
  const answers = await client.ask({ name, requestAck: true })
  const ackedMs: number[] = []
  for await (const { kind } of answers) {
    if (kind === 'ack') ackedMs.push(performance.now() - startedAtMs)
    if (ackedMs.length === size) break
  }
  return { firstMs: ackedMs[0] ?? Number.NaN, lastMs: ackedMs.at(-1) ?? Number.NaN, acks: ackedMs.length }
}
