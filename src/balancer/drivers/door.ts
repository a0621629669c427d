import { chmod, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type Clock, type Log, messageOf, type Timer } from '../../base/index.ts'
import { type BalancerConfig, doorPath, holdOf } from '../config.ts'

/** A pool whose requests wait here while it has no server. */
export interface DoorPool {
  readonly name: string
  /** The unix socket that HAProxy has as `backup`; one per pool, so that no client can say which pool it means. */
  readonly path: string
  readonly timeMs: number
  readonly requests: number
}

/** What this configuration holds. */
export function doorPools(config: BalancerConfig): DoorPool[] {
  return Object.entries(config.pools).flatMap(([name, pool]) => {
    const hold = holdOf(pool)
    return hold === undefined ? [] : [{ name, path: doorPath(config, name), ...hold }]
  })
}

/** Which of these pools have a server that takes traffic. @throws when HAProxy cannot be asked; they wait on */
export type AskServed = (pools: readonly string[]) => Promise<ReadonlySet<string>>

export interface DoorDeps {
  readonly clock: Clock
  readonly log: Log
  readonly served: AskServed
}

/** While somebody waits HAProxy is asked so often, and else never. */
const LOOK_MS = 25
/** So many are let in with each look: a server that just came has a queue of some hundred connections. */
const BATCH = 200
/** HAProxy repeats what was whole in its buffer: 16 KiB, less 1 KiB, what it adds to the head, and its own marks. */
const FITS_BYTES = 14_336
/** Beside those that wait: connections that are answered at once, as many as HAProxy may well open in a burst. */
const SPARE_CONNECTIONS = 4_096

interface Waiting {
  readonly response: ServerResponse
  readonly untilMs: number
}

/**
 * Keeps requests waiting for a pool that has no server. It is the backup server of the pool's backend: as soon as a real one takes
 * traffic it answers 425, which HAProxy takes for a reason to send the request again, itself. Beyond the time or the number, and
 * for what is too large to be sent again, 503 with `Retry-After`. Nothing of a request is kept but its connection.
 */
export class Door {
  readonly #deps: DoorDeps
  readonly #listeners = new Map<string, Listener>()
  #timer: Timer | undefined
  #isLooking = false
  #isStopped = false

  constructor(deps: DoorDeps) {
    this.#deps = deps
  }

  /** How many wait now for this pool. */
  waitingFor(pool: string): number {
    const own = [...this.#listeners.values()].filter(listener => listener.pool.name === pool)
    return own.reduce((sum, listener) => sum + listener.waiting.size, 0)
  }

  /** How many wait now, in all pools. */
  get waiting(): number {
    return [...this.#listeners.values()].reduce((sum, listener) => sum + listener.waiting.size, 0)
  }

  /** Holds these pools from now on, and no others. A socket that cannot be made is logged: its pool is then not held. */
  async follow(pools: readonly DoorPool[]): Promise<void> {
    const wanted = new Map(pools.map(pool => [pool.path, pool]))
    const gone = [...this.#listeners].filter(([path]) => !wanted.has(path))
    for (const [path] of gone) this.#listeners.delete(path)
    await Promise.all(gone.map(([, listener]) => listener.close()))
    for (const pool of pools) await this.#open(pool)
  }

  /** Whoever waits is sent back to HAProxy, which tries as long as its attempts last. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.follow([])
  }

  async #open(pool: DoorPool): Promise<void> {
    const there = this.#listeners.get(pool.path)
    if (there !== undefined) {
      there.pool = pool
      return
    }
    try {
      const listener = await Listener.open(pool, this.#deps.clock, () => this.#lookSoon())
      this.#listeners.set(pool.path, listener)
    } catch (failure) {
      const fields = { pool: pool.name, path: pool.path, error: messageOf(failure) }
      this.#deps.log.error(fields, 'requests cannot wait for a server of this pool: its socket cannot be made')
    }
  }

  #lookSoon(): void {
    if (this.#timer !== undefined || this.#isLooking || this.#isStopped) return
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      this.#timer = undefined
      this.#isLooking = true
      void this.#look().then(() => {
        this.#isLooking = false
        if (this.waiting > 0) this.#lookSoon()
      })
    })
  }

  async #look(): Promise<void> {
    const busy = [...this.#listeners.values()].filter(listener => listener.waiting.size > 0)
    const served = await this.#deps.served(busy.map(({ pool }) => pool.name)).catch((failure: unknown) => {
      this.#deps.log.debug({ error: messageOf(failure) }, 'haproxy cannot be asked whether a pool is served')
      return new Set<string>()
    })
    const nowMs = this.#deps.clock.nowMs()
    for (const listener of busy) {
      if (served.has(listener.pool.name)) listener.letIn(BATCH)
      listener.giveUp(nowMs)
    }
  }
}

/** One pool's socket and who waits at it. */
class Listener {
  pool: DoorPool
  readonly waiting = new Set<Waiting>()
  readonly #server: Server
  readonly #clock: Clock
  readonly #onWaiting: () => void
  #inode: number | undefined

  private constructor(pool: DoorPool, clock: Clock, onWaiting: () => void) {
    this.pool = pool
    this.#clock = clock
    this.#onWaiting = onWaiting
    // HAProxy has its own limits for a head; what reaches it must not be refused here with another word.
    const limits = { maxHeaderSize: 65_536, requestTimeout: 0, headersTimeout: 10_000 }
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#receive(request, response)
    this.#server = createServer(limits, onRequest)
    this.#server.on('checkContinue', onRequest)
    this.#server.on('clientError', (_error, socket) => void socket.destroy())
    this.#server.maxConnections = pool.requests + SPARE_CONNECTIONS
  }

  /** Made under another name and then put in its place: never open to others, and never missing while the next agent takes over. */
  static async open(pool: DoorPool, clock: Clock, onWaiting: () => void): Promise<Listener> {
    const listener = new Listener(pool, clock, onWaiting)
    const path = `${pool.path}.new`
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject)
      listener.#server.listen({ path, backlog: 1024 }, () => {
        listener.#server.off('error', reject)
        resolve()
      })
    })
    listener.#server.on('error', () => undefined) // of a single accept: HAProxy tries again
    try {
      await chmod(path, 0o600)
      listener.#inode = (await stat(path)).ino
      await rename(path, pool.path)
    } catch (failure) {
      await listener.close()
      throw failure
    }
    return listener
  }

  letIn(most: number): void {
    let left = most
    for (const one of this.waiting) {
      if (left-- <= 0) return
      this.#answer(one, 425)
    }
  }

  giveUp(nowMs: number): void {
    for (const one of this.waiting) if (nowMs >= one.untilMs) this.#answer(one, 503)
  }

  async close(): Promise<void> {
    this.letIn(Number.POSITIVE_INFINITY)
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    const inode = await stat(this.pool.path).then(
      found => found.ino,
      () => undefined,
    )
    if (inode !== undefined && inode === this.#inode) await rm(this.pool.path, { force: true }) // not the next agent's
    this.#server.closeIdleConnections()
    await Promise.race([closed, new Promise<void>(resolve => void this.#clock.after(100, resolve))])
    this.#server.closeAllConnections()
    await closed
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const one = { response, untilMs: this.#clock.nowMs() + this.pool.timeMs }
    let bytes = request.rawHeaders.reduce((sum, text) => sum + text.length + 2, (request.url ?? '').length)
    const announced = Number(request.headers['content-length'] ?? 0)
    response.on('close', () => void this.waiting.delete(one))
    response.on('error', () => undefined)
    request.on('error', () => undefined)
    if (this.waiting.size >= this.pool.requests || bytes + announced > FITS_BYTES) return this.#answer(one, 503)
    this.waiting.add(one)
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > FITS_BYTES) this.#answer(one, 503)
    })
    this.#onWaiting()
  }

  #answer(one: Waiting, status: 425 | 503): void {
    this.waiting.delete(one)
    const { response } = one
    if (response.headersSent || response.destroyed) return
    const body = 'No server is available.\n'
    const headers = { connection: 'close', 'content-type': 'text/plain', 'content-length': body.length }
    response.writeHead(status, status === 503 ? { ...headers, 'retry-after': '1' } : headers)
    response.end(body)
  }
}
