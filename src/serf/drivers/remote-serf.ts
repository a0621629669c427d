import {
  type Address,
  type Clock,
  formatAddress,
  Listeners,
  type Log,
  messageOf,
  sleep,
  type Timer,
} from '../../base/index.ts'
import type { JoinResult } from '../../memberlist/index.ts'
import type { SerfState } from '../core.ts'
import type { QueryAnswer } from '../effects.ts'
import type { Engine, JoinOptions } from '../engine.ts'
import { EngineNameError, SerfStateError } from '../errors.ts'
import type { QueryEvent, SerfEvent } from '../events.ts'
import type { SerfMember } from '../member.ts'
import { MemberView } from '../member-view.ts'
import type { QueryParams } from '../queries.ts'
import { RpcRefusedError } from '../rpc/errors.ts'
import type { Tags } from '../tags.ts'
import { connectRpc, type RpcClient, type RpcEventRecord } from '../rpc/drivers/client.ts'

export interface RemoteSerfConfig {
  /** Of the agent on this host; Serf's default is 127.0.0.1:7373. */
  readonly rpc: Address
  readonly authKey?: string | undefined
  /** What the agent should be called; another name is refused at the start. */
  readonly name?: string | undefined
  /** Set over the agent's own. */
  readonly tags: Tags
}

export interface RemoteSerfDeps {
  readonly clock: Clock
  readonly log: Log
}

/** An uncoalesced user event: the tags of the node in its payload have changed. Serf's own stream tells only after 1.1 s. */
const LOOK_EVENT = 'muster-look'
/** After such an event the new tags may be a moment behind it. */
const LOOK_AGAIN_MS = [0, 30, 90, 200, 500] as const
/** What makes no event of Serf's (a member that means to leave) is seen at the latest after this. */
const POLL_MS = 1_000
const CONNECT_TIMEOUT_MS = 5_000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 5_000
/** A query's deadline does not travel with it; what comes later is refused by the agent, in words. */
const QUERY_MS_ASSUMED = 15_000

/**
 * Takes membership from the real agent on this host, over its RPC. Waits for that agent as long as it takes, saying so once;
 * when the connection is lost later, the last known members stand until it is back, and what happened meanwhile is told then.
 * @throws EngineNameError when the agent has another name than `config.name`; the signal's reason
 */
export async function startRemoteSerf(
  config: RemoteSerfConfig,
  deps: RemoteSerfDeps,
  signal?: AbortSignal,
): Promise<RemoteSerf> {
  const serf = new RemoteSerf(config, deps)
  const onAbort = () => void serf.stop()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    signal?.throwIfAborted()
    await serf.connected()
    signal?.throwIfAborted()
    return serf
  } catch (failure) {
    await serf.stop()
    throw failure
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

/** A real agent as the engine; made by `startRemoteSerf`. */
export class RemoteSerf implements Engine {
  readonly coalesces = true
  readonly #config: RemoteSerfConfig
  readonly #deps: RemoteSerfDeps
  readonly #view = new MemberView()
  readonly #events: Listeners<SerfEvent>
  readonly #changes: Listeners
  readonly #stopping = new AbortController()
  readonly #looks = new Set<Timer>()
  readonly #running: Promise<void>
  #first: { resolve: () => void; reject: (failure: Error) => void } | undefined
  readonly #isConnected: Promise<void>
  #client: RpcClient | undefined
  #looking: Promise<void> | undefined
  #looksAgain = false
  #name = ''
  #stats: Record<string, string> = {}
  #tags: Tags
  /** Every key that was ever set here: what is no longer wanted of them goes. */
  readonly #ownKeys: Set<string>
  #state: SerfState = 'alive'

  constructor(config: RemoteSerfConfig, deps: RemoteSerfDeps) {
    this.#config = config
    this.#deps = deps
    this.#tags = config.tags
    this.#events = new Listeners('events', deps.log)
    this.#changes = new Listeners('changes', deps.log)
    this.#ownKeys = new Set(Object.keys(config.tags))
    this.#isConnected = new Promise((resolve, reject) => {
      this.#first = { resolve, reject }
    })
    this.#isConnected.catch(() => undefined) // whoever waits for it hears of it
    this.#running = this.#run()
  }

  /** Resolves with the first look at the members. */
  connected(): Promise<void> {
    return this.#isConnected
  }

  state(): SerfState {
    return this.#state
  }

  local(): SerfMember {
    const self = this.#view.get(this.#name)
    if (self === undefined) throw new SerfStateError('the agent is not in its own member list')
    return self
  }

  members(): SerfMember[] {
    return this.#view.all()
  }

  tags(): Record<string, string> {
    return { ...this.local().tags }
  }

  stats(): Record<string, string> {
    return { ...this.#stats }
  }

  warnings(): string[] {
    const { rpc } = this.#config
    return this.#client === undefined
      ? [
          `the Serf agent at ${formatAddress(rpc)} does not answer; the last known members stand. To look: serf info -rpc-addr=${formatAddress(rpc)}`,
        ]
      : []
  }

  onEvent(listener: (event: SerfEvent) => void): () => void {
    return this.#events.add(listener)
  }

  onChange(listener: () => void): () => void {
    return this.#changes.add(listener)
  }

  async join(addresses: readonly string[], options: JoinOptions = {}): Promise<JoinResult> {
    try {
      const contacted = await this.#with(client => client.join(addresses, options.ignoreOld !== true))
      this.#look()
      return { contacted, errors: [] }
    } catch (error) {
      if (!(error instanceof RpcRefusedError)) throw error
      return { contacted: 0, errors: addresses.map(address => ({ address, error })) }
    }
  }

  /** The agent is the host's, and stays; what was set here goes, and with it this node's endpoints. */
  async leave(): Promise<void> {
    if (this.#state !== 'alive') return
    await this.setTags({})
    this.#state = 'left'
  }

  async forceLeave(name: string, prune = false): Promise<void> {
    await this.#with(client => client.forceLeave(name, prune))
    this.#look()
  }

  /** The agent's other tags stay. @throws RpcRefusedError when all together are larger than 512 bytes */
  async setTags(tags: Tags): Promise<void> {
    this.#tags = { ...tags }
    for (const key of Object.keys(tags)) this.#ownKeys.add(key)
    const set = this.#with(client => this.#sendTags(client)) // answers when it has been gossiped, seconds later
    this.#lookAfter(this.#name)
    await Promise.all([set, this.userEvent(LOOK_EVENT, Buffer.from(this.#name), false)])
    this.#look()
  }

  async userEvent(name: string, payload: Uint8Array, coalesce = true): Promise<void> {
    await this.#with(client => client.event(name, payload, coalesce))
  }

  async query(params: QueryParams): Promise<AsyncIterable<QueryAnswer>> {
    const client = await this.#connect()
    const { name, payload, filters, wantAck = false, relayFactor = 0, timeoutMs = 0 } = params
    const asked = { name, payload, relayFactor, requestAck: wantAck, timeoutMs }
    const answers = client.query({ ...asked, filterNodes: filters?.nodes ?? [], filterTags: filters?.tags ?? {} })
    return closingAfter(answers, client)
  }

  async stop(): Promise<void> {
    this.#state = 'shutdown'
    this.#stopping.abort(new SerfStateError('stopped'))
    for (const timer of this.#looks) timer.cancel()
    this.#client?.close()
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #connect(): Promise<RpcClient> {
    const { rpc, authKey } = this.#config
    const key = authKey === undefined ? {} : { authKey }
    return connectRpc(rpc, { ...key, timeoutMs: CONNECT_TIMEOUT_MS, clock: this.#deps.clock }, this.#stopping.signal)
  }

  /** A connection of its own for each action: the agent answers those of one connection one after the other. */
  async #with<T>(act: (client: RpcClient) => Promise<T>): Promise<T> {
    using client = await this.#connect()
    return await act(client)
  }

  /** Connects, again and again. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let pauseMs = RETRY_MS_MIN
    let complained = false
    while (!signal.aborted) {
      try {
        using client = await this.#connect()
        await this.#greet(client)
        if (complained) this.#deps.log.info({ rpc: formatAddress(this.#config.rpc) }, 'the Serf agent answers again')
        complained = false
        pauseMs = RETRY_MS_MIN
        await this.#follow(client)
      } catch (failure) {
        if (failure instanceof EngineNameError) this.#first?.reject(failure)
        if (!signal.aborted && !complained) this.#complain(failure)
        complained = true
      }
      await sleep(this.#deps.clock, pauseMs, signal).catch(() => undefined) // aborted: the loop ends
      pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)
    }
    this.#first?.reject(new SerfStateError('stopped before the Serf agent answered'))
  }

  #complain(failure: unknown): void {
    const fields = { rpc: formatAddress(this.#config.rpc), reason: messageOf(failure) }
    this.#deps.log.warn(fields, 'the Serf agent does not answer; trying on, the last known members stand')
  }

  async #greet(client: RpcClient): Promise<void> {
    const stats = await client.stats()
    const name = stats['agent']?.['name'] ?? ''
    const expected = this.#name === '' ? this.#config.name : this.#name
    if (expected !== undefined && expected !== name) throw new EngineNameError(name, expected)
    this.#name = name
    this.#stats = stats['serf'] ?? {}
  }

  /** Follows the agent's stream until the connection ends. */
  async #follow(client: RpcClient): Promise<void> {
    this.#client = client
    const stream = client.stream()
    const first = stream.next() // subscribed before the members are read, so that nothing falls between
    first.catch(() => undefined)
    try {
      await this.#restore(client)
      this.#first?.resolve()
      this.#first = undefined
      this.#poll()
      for (let next = await first; next.done !== true; next = await stream.next()) this.#heard(next.value, client)
    } finally {
      this.#client = undefined
      for (const timer of this.#looks) timer.cancel()
      this.#looks.clear()
    }
  }

  /** The agent may be another than before: our tags are set over its own, and what happened meanwhile is told. */
  async #restore(client: RpcClient): Promise<void> {
    await this.#read(client)
    const known = this.local().tags
    if ([...this.#ownKeys].some(key => known[key] !== this.#tags[key])) {
      await this.#with(one => this.#sendTags(one))
      await this.#read(client)
    }
    for (const event of this.#view.untold()) this.#events.tell(event)
  }

  #sendTags(client: RpcClient): Promise<void> {
    return client.tags(
      this.#tags,
      [...this.#ownKeys].filter(key => !Object.hasOwn(this.#tags, key)),
    )
  }

  #heard(record: RpcEventRecord, client: RpcClient): void {
    if (record.kind === 'user' && record.name === LOOK_EVENT) {
      this.#lookAfter(Buffer.from(record.payload).toString())
    } else if (record.kind === 'user') {
      const { name, payload, ltime } = record
      this.#events.tell({ kind: 'user', name, payload, ltime, coalesce: false })
    } else if (record.kind === 'query') this.#events.tell(this.#queryOf(record, client))
    else {
      for (const event of this.#view.heard(record)) this.#events.tell(event)
      this.#look()
    }
  }

  #queryOf({ name, payload, ltime, handle }: RpcEventRecord, client: RpcClient): QueryEvent {
    const deadlineMs = this.#deps.clock.nowMs() + QUERY_MS_ASSUMED
    const respond = (answer: Uint8Array) => client.respond(handle, answer)
    return { kind: 'query', name, payload, ltime, id: handle, sourceNode: '', deadlineMs, respond }
  }

  #poll(): void {
    this.#look()
    this.#later(POLL_MS, () => this.#poll())
  }

  /** Looks several times, until the member differs from what it was. */
  #lookAfter(name: string): void {
    const before = this.#view.get(name)
    for (const afterMs of LOOK_AGAIN_MS) {
      this.#later(afterMs, () => {
        if (this.#view.get(name) === before) this.#look()
      })
    }
  }

  #later(delayMs: number, act: () => void): void {
    if (this.#client === undefined) return
    const timer = this.#deps.clock.after(delayMs, () => {
      this.#looks.delete(timer)
      act()
    })
    this.#looks.add(timer)
  }

  /** Reads the members; once more when asked for meanwhile. */
  #look(): void {
    const client = this.#client
    if (client === undefined) return
    if (this.#looking !== undefined) {
      this.#looksAgain = true
      return
    }
    this.#looking = this.#read(client)
      .catch(failure => this.#deps.log.debug({ reason: messageOf(failure) }, 'could not read the members'))
      .finally(() => {
        this.#looking = undefined
        if (this.#looksAgain) this.#look()
      })
    this.#looksAgain = false
  }

  async #read(client: RpcClient): Promise<void> {
    if (this.#view.update(await client.members())) this.#changes.tell()
  }
}

async function* closingAfter(answers: AsyncGenerator<QueryAnswerLike>, client: RpcClient): AsyncGenerator<QueryAnswer> {
  try {
    for await (const { kind, from, payload } of answers) yield { kind, from, payload: payload ?? new Uint8Array(0) }
  } finally {
    client.close()
  }
}

type QueryAnswerLike = Pick<QueryAnswer, 'kind' | 'from'> & { readonly payload?: Uint8Array | undefined }
