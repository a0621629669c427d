import { chmod, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type Clock, type Log, messageOf, type Timer } from '../../base/index.ts'
import { type BalancerConfig, doorPath, holdOf, timeoutServerOf } from '../config.ts'
import { type Outcome, passOn, type PassLimits, WORKER_HEADER } from './door-pass.ts'

/** A pool whose requests wait here while it has no server. */
export interface DoorPool {
  readonly name: string
  /** The unix socket that HAProxy has as `backup`; one per pool, so that no client can say which pool it means. */
  readonly path: string
  readonly timeMs: number
  readonly requests: number
  /** Of a request that the door passes on itself; undefined where only HAProxy knows how to speak to the servers. */
  readonly pass: PassLimits | undefined
}

/** What this configuration holds. */
export function doorPools(config: BalancerConfig): DoorPool[] {
  return Object.entries(config.pools).flatMap(([name, pool]) => {
    const hold = holdOf(pool)
    const pass = { connectMs: pool.timeoutConnectMs ?? 250, answerMs: timeoutServerOf(pool) }
    const isPlain = pool.serverTls === undefined && pool.sendProxy === undefined
    return hold === undefined ? [] : [{ name, path: doorPath(config, name), ...hold, pass: isPlain ? pass : undefined }]
  })
}

/** What HAProxy's newest process says. */
export interface Served {
  /** Undefined when it does not say who it is; then all requests are taken for its own. */
  readonly worker: { readonly pid: number; readonly ageMs: number } | undefined
  /** Those with servers that take traffic, and their `ip:port`s. */
  readonly pools: ReadonlyMap<string, readonly string[]>
}

/** Which of these pools are served, and where. @throws when HAProxy cannot be asked; they wait on */
export type AskServed = (pools: readonly string[]) => Promise<Served>

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

/**
 * A request that does not say which process it is from was on its way to a server that died. From a process before the last reload
 * it comes within its attempts: a second each, and a wait for a free server.
 */
const STRAY_MS = 15_000
/** A server that takes no connections is tried so much later each time. */
const BACKOFF_MS = 50
/** Those that are passed on have so long to end when the door is shut. */
const LAST_ANSWERS_MS = 2_000
const SAFE = /^(GET|HEAD|OPTIONS)$/

interface Waiting {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly sinceMs: number
  readonly untilMs: number
  /** HAProxy's process that it is from, as the templates say it; NaN when nothing does. */
  readonly pid: number
  /** At most `FITS_BYTES`. */
  readonly chunks: Buffer[]
  isWhole: boolean
  /** How often it was to be passed on, and when it may be again. */
  tries: number
  notBeforeMs: number
  /** Some server may have executed it. */
  wasLost: boolean
}

/**
 * Keeps requests waiting for a pool that has no server. It is the backup server of the pool's backend: as soon as a real one takes
 * traffic it answers 425, which HAProxy takes for a reason to send the request again, itself. Beyond the time or the number, and
 * for what is too large to be sent again, 503 with `Retry-After`.
 *
 * A process that a reload has left behind checks nothing and takes no orders: its servers stay as they were, and a request that it
 * sent again would come back until its attempts are used up. Such requests the door passes on itself, to a server of the new
 * process. One that reached no server waits on; one that reached a server is sent once more if its method allows.
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
      return undefined
    })
    const nowMs = this.#deps.clock.nowMs()
    for (const listener of busy) {
      if (served !== undefined) listener.letIn(served, BATCH)
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
  #passing = 0
  #passed = 0
  #isClosed = false

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

  letIn({ worker, pools }: Served, most: number): void {
    const addresses = pools.get(this.pool.name)
    if (addresses === undefined) return
    const nowMs = this.#clock.nowMs()
    let left = most
    for (const one of this.waiting) {
      if (one.notBeforeMs > nowMs) continue
      if (left-- <= 0) return
      this.#letOneIn(one, worker, addresses)
    }
  }

  #letOneIn(one: Waiting, worker: Served['worker'], addresses: readonly string[]): void {
    const isMarked = !Number.isNaN(one.pid)
    const ownAgeMs = this.#clock.nowMs() - one.sinceMs
    const isStray = worker !== undefined && !isMarked && worker.ageMs - ownAgeMs < STRAY_MS
    const isOld = worker !== undefined && isMarked && one.pid !== worker.pid
    if (!isOld && !isStray) return this.#answer(one, 425)
    const { pass } = this.pool
    const to = addresses[this.#passed++ % addresses.length]
    const isTunnel = one.request.headers.upgrade !== undefined
    if (pass === undefined || to === undefined || isTunnel) return this.#answer(one, isOld ? 503 : 425)
    if (one.isWhole) void this.#passOn(one, to, pass)
  }

  async #passOn(one: Waiting, to: string, limits: PassLimits): Promise<void> {
    this.waiting.delete(one)
    this.#passing++
    const { request, response, chunks } = one
    const outcome = await passOn({ request, response, body: Buffer.concat(chunks) }, to, limits, this.#clock).catch(
      (): Outcome => 'lost', // a byte in its head that Node does not write
    )
    this.#passing--
    if (outcome === 'late') return this.#answer(one, 504)
    if (outcome === 'done') return
    const nowMs = this.#clock.nowMs()
    if (outcome === 'lost') {
      if (one.wasLost || !SAFE.test(request.method ?? '')) return this.#answer(one, 502)
      one.wasLost = true
    }
    if (this.#isClosed || nowMs >= one.untilMs) return this.#answer(one, 503)
    one.tries++
    one.notBeforeMs = nowMs + Math.min(one.tries * BACKOFF_MS, 1_000)
    this.waiting.add(one)
    this.#onWaiting()
  }

  giveUp(nowMs: number): void {
    for (const one of this.waiting) if (nowMs >= one.untilMs) this.#answer(one, 503)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const one of this.waiting) this.#answer(one, 425)
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    const inode = await stat(this.pool.path).then(
      found => found.ino,
      () => undefined,
    )
    if (inode !== undefined && inode === this.#inode) await rm(this.pool.path, { force: true }) // not the next agent's
    this.#server.closeIdleConnections()
    const patienceMs = this.#passing > 0 ? LAST_ANSWERS_MS : 100
    await Promise.race([closed, new Promise<void>(resolve => void this.#clock.after(patienceMs, resolve))])
    this.#server.closeAllConnections()
    await closed
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const one = this.#waitingFor(request, response)
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
      else one.chunks.push(chunk)
    })
    request.on('end', () => (one.isWhole = true))
    this.#onWaiting()
  }

  #waitingFor(request: IncomingMessage, response: ServerResponse): Waiting {
    const sinceMs = this.#clock.nowMs()
    const pid = Number.parseInt(String(request.headers[WORKER_HEADER]), 10)
    const times = { sinceMs, untilMs: sinceMs + this.pool.timeMs, notBeforeMs: 0 }
    return { request, response, pid, ...times, chunks: [], isWhole: false, tries: 0, wasLost: false }
  }

  #answer(one: Waiting, status: 425 | 502 | 503 | 504): void {
    this.waiting.delete(one)
    const { response } = one
    if (response.headersSent || response.destroyed) return
    const body = status === 502 || status === 504 ? 'The server gave no answer.\n' : 'No server is available.\n'
    const headers = { connection: 'close', 'content-type': 'text/plain', 'content-length': body.length }
    response.writeHead(status, status === 503 ? { ...headers, 'retry-after': '1' } : headers)
    response.end(body)
  }
}
