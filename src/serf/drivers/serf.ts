import { type Address, deferred, Listeners, messageOf, sleep, WakeUp, within } from '../../base/index.ts'
import type { JoinResult, Memberlist, MemberlistHost } from '../../memberlist/index.ts'
import { QueryHandle } from '../answer-stream.ts'
import { isMemberEvent } from '../coalesce.ts'
import type { Coordinate } from '../coordinate.ts'
import type { SerfCore, SerfState } from '../core.ts'
import type { ReceivedQuery, SerfEffect } from '../effects.ts'
import type { Engine, JoinOptions } from '../engine.ts'
import { BroadcastTimeoutError, SerfStateError } from '../errors.ts'
import type { QueryEvent, SerfEvent } from '../events.ts'
import { type KeyAnswers, type KeyOperation, KeyRequests } from '../key-requests.ts'
import type { LTime } from '../lamport.ts'
import type { SerfMember } from '../member.ts'
import type { QueryParams } from '../queries.ts'
import { encodeTags, type Tags } from '../tags.ts'
import { JoinTurns } from './join-turns.ts'
import { answerKeys } from './key-answers.ts'
import { rejoin } from './rejoin.ts'
import type { RetiredKeys } from './retired-keys.ts'
import type { SerfConfig, SerfDeps } from './serf-config.ts'
import type { Snapshotter } from './snapshotter.ts'
import { StaleMembers } from './stale-members.ts'

/** A running agent; made by `startSerf`. */
export class Serf implements Engine {
  readonly coalesces = false
  readonly #config: SerfConfig
  readonly #deps: SerfDeps
  readonly #core: SerfCore
  readonly #snapshotter: Snapshotter
  readonly #retired: RetiredKeys | undefined
  readonly #stale: StaleMembers
  readonly #events: Listeners<SerfEvent>
  readonly #changes: Listeners
  readonly #queries = new Map<LTime, QueryHandle>()
  readonly #keyRequests = new KeyRequests({
    query: params => this.query(params),
    memberCount: () => this.memberlist.aliveCount(),
  })
  /** One key query after the other: each may write the same file. */
  #keyAnswers: Promise<void> = Promise.resolve()
  readonly #stopping = new AbortController()
  #memberlist: Memberlist | undefined
  #tags: Tags
  readonly #wake: WakeUp
  readonly #joins = new JoinTurns(() => this.#core.ignoreOld(false))
  #stopped: Promise<void> | undefined

  /** @param retired undefined: removed keys have no grace time */
  constructor(
    config: SerfConfig,
    deps: SerfDeps,
    core: SerfCore,
    snapshotter: Snapshotter,
    retired: RetiredKeys | undefined,
  ) {
    this.#config = config
    this.#deps = deps
    this.#core = core
    this.#snapshotter = snapshotter
    this.#retired = retired
    this.#stale = new StaleMembers(
      {
        keyring: config.keyring,
        encode: queries => core.directQueries(queries),
        send: (key, to, body) => this.#memberlist?.sendUserUnder(key, to, body),
      },
      deps,
    )
    this.#tags = config.tags
    this.#wake = new WakeUp(deps.clock, () => this.#perform(core.tick(this.#nowMs())))
    this.#events = new Listeners('events', deps.log)
    this.#changes = new Listeners('changes', deps.log)
  }

  /** What memberlist calls. @internal */
  host(): MemberlistHost {
    const core = this.#core
    return {
      ackPayload: () => core.ackPayload(),
      broadcasts: (overhead, budget) => core.broadcasts(overhead, budget),
      queued: () => core.queued,
      localState: () => core.localState(),
      userMessage: (body, _, isStale) => this.#perform(core.receive(body, this.#nowMs(), isStale)),
      mergeState: (state, join) => this.#perform(core.mergeState(state, join, this.#nowMs())),
      changed: (change, member) => this.#perform(core.memberChanged(change, member, this.#nowMs())),
      conflict: (existing, other) => this.#perform(core.conflict(existing.name, other, this.#nowMs())),
      staleKey: (from, key) => this.#stale.heard(from, key),
      pingDone: (member, rttMs, payload) => this.#perform(core.pingDone(member.name, rttMs, payload)),
    }
  }

  /** @internal */
  attach(memberlist: Memberlist, known: string[]): void {
    this.#memberlist = memberlist
    this.#arm()
    this.#snapshotter.noteClock()
    const ring = {
      join: async (address: string) => (await this.memberlist.join([address])).contacted > 0,
      isAlone: () => this.state() === 'alive' && !this.#core.hasOtherAlive(),
    }
    void rejoin(known, ring, this.#deps, this.#stopping.signal)
  }

  /** memberlist itself: counters, health, keys. */
  get memberlist(): Memberlist {
    if (this.#memberlist === undefined) throw new SerfStateError('Serf has not started')
    return this.#memberlist
  }

  get boundPort(): number {
    return this.memberlist.boundPort
  }

  state(): SerfState {
    return this.#core.state
  }

  local(): SerfMember {
    const self = this.#core.member(this.#config.name)
    if (self === undefined) throw new SerfStateError('this agent is not in its own member list; it was pruned')
    return self
  }

  members(): SerfMember[] {
    return this.#core.members()
  }

  tags(): Record<string, string> {
    return { ...this.#tags }
  }

  stats(): Record<string, string> {
    return {
      ...this.#core.stats(),
      health_score: String(this.memberlist.healthScore()),
      encrypted: String(this.memberlist.keyring?.primary !== undefined),
    }
  }

  /** Where a member stands in the space of round trips (Vivaldi); undefined for one that is unknown or not measured yet. */
  coordinate(name: string): Coordinate | undefined {
    return this.#core.coordinate(name)
  }

  warnings(): string[] {
    const heal =
      'compare `muster keys -list` on both, put the key of the ring first into the other keyring file, start it again'
    const foreign = this.memberlist.foreignKeys().map(({ ip, member }) => {
      const who = member === undefined ? ip : `${member} (${ip})`
      return `${who} speaks with a key that this node does not have; one of them has missed a rotation: ${heal}`
    })
    const lost =
      this.state() === 'shutdown' ? ['gossip has stopped: another node holds this name, or the agent ends'] : []
    return [...lost, ...foreign]
  }

  /** Every event at once and uncoalesced; what a listener throws is logged. @returns how to stop listening */
  onEvent(listener: (event: SerfEvent) => void): () => void {
    return this.#events.add(listener)
  }

  onChange(listener: () => void): () => void {
    return this.#changes.add(listener)
  }

  /**
   * Joins through any of the addresses (`host`, `host:port`, `name/host:port`), as `JoinTurns` says beside other joins.
   * @param options.ignoreOld user events from before the join are not delivered
   * @throws SerfStateError after leave or stop; addresses that do not answer are in the result
   */
  async join(addresses: readonly string[], options: JoinOptions = {}): Promise<JoinResult> {
    return this.#joins.take(options.ignoreOld ?? false, () => this.#join(addresses, options))
  }

  /**
   * Leaves gracefully: everybody else sees `left`. The agent answers probes until `stop`. What could not be told in time is
   * logged, and the leave goes on (Serf 0.9.7). Quick when nobody else is there.
   * @param options.tell members that hear it directly, within a round trip, and not only with the next gossip
   * @throws SerfStateError while another leave runs or after `stop`; a leave that is done is no error
   */
  async leave(options: { tell?: readonly string[] } = {}): Promise<void> {
    if (this.#core.state === 'left') return
    if (this.#core.state === 'leaving') throw new SerfStateError('Leave already in progress')
    if (this.#core.state === 'shutdown') throw new SerfStateError('Leave called after Shutdown')
    this.#snapshotter.leave()
    const hadOthers = this.#core.hasOtherAlive()
    await this.#logged('the leave was not told in time', () =>
      this.#broadcastLeave(this.#config.name, { prune: false, tell: options.tell ?? [] }),
    )
    await this.#logged('memberlist could not tell the leave in time', () =>
      this.memberlist.leave(this.#broadcastTimeoutMs()),
    )
    const delayMs = hadOthers ? (this.#config.leavePropagateDelayMs ?? 1000) : 0
    await this.#logged('stopped while the leave spread', () => sleep(this.#deps.clock, delayMs, this.#stopping.signal))
    if (this.state() === 'leaving') this.#core.state = 'left'
  }

  /**
   * Marks a failed member as left, everywhere; a member that is alive refutes it.
   * @param prune also forget it
   * @throws BroadcastTimeoutError when the others could not be told in time
   */
  async forceLeave(name: string, prune = false): Promise<void> {
    await this.#broadcastLeave(name, { prune, tell: [] })
  }

  /**
   * Replaces all tags.
   * @param options.tell members that get them directly, within a round trip
   * @throws TagsTooLargeError (nothing changed), or memberlist's BroadcastTimeoutError (the new tags hold)
   */
  async setTags(tags: Tags, options: { tell?: readonly string[] } = {}): Promise<void> {
    const meta = encodeTags(tags)
    this.#tags = { ...tags }
    await this.memberlist.updateMeta(meta, { ...options, timeoutMs: this.#broadcastTimeoutMs() })
  }

  /** @throws MessageTooLargeError */
  async userEvent(name: string, payload: Uint8Array, coalesce = true): Promise<void> {
    this.#perform(this.#core.sendUserEvent(name, payload, coalesce))
  }

  /** @throws MessageTooLargeError */
  async query(params: QueryParams): Promise<QueryHandle> {
    if (this.state() === 'shutdown') throw new SerfStateError('query after shutdown')
    const sent = this.#core.sendQuery(params, this.#nowMs())
    const { ltime } = sent
    const handle = new QueryHandle(sent, () => {
      this.#core.endQuery(ltime)
      this.#queries.delete(ltime)
    })
    this.#queries.set(ltime, handle)
    this.#perform(sent.effects)
    return handle
  }

  /**
   * Rotates or lists the ring's keys by asking every member; what went wrong where is in the answer. Never rejects.
   * @param key base64; not for `list`
   */
  keys(operation: KeyOperation, key?: string): Promise<KeyAnswers> {
    return this.#keyRequests.ask(operation, key)
  }

  /** Ends everything without a word to the others: they will see a failure unless `leave` was called. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    await this.#stopGossip()
    await this.#snapshotter.close()
  }

  async #stopGossip(): Promise<void> {
    this.#core.state = 'shutdown'
    this.#stopping.abort()
    this.#stale.close()
    this.#retired?.close()
    this.#wake.end()
    for (const query of this.#queries.values()) query.end()
    await this.#memberlist?.stop()
  }

  async #join(addresses: readonly string[], options: JoinOptions): Promise<JoinResult> {
    if (this.#core.state !== 'alive') throw new SerfStateError("Serf can't Join after Leave or Shutdown")
    this.#core.ignoreOld(options.ignoreOld ?? false)
    const { signal } = options
    const result = await this.memberlist.join(addresses, signal === undefined ? {} : { signal })
    if (result.contacted > 0 && this.state() === 'alive') this.#perform(this.#core.broadcastJoin(this.#nowMs()))
    return result
  }

  /** Resolves when the intent was sent its full number of times. */
  async #broadcastLeave(name: string, how: { prune: boolean; tell: readonly string[] }): Promise<void> {
    const { promise, resolve } = deferred()
    this.#perform(this.#core.broadcastLeave(name, this.#nowMs(), { ...how, transmitted: resolve }))
    const late = () => new BroadcastTimeoutError('timed out broadcasting node removal')
    const limit = { clock: this.#deps.clock, timeoutMs: this.#broadcastTimeoutMs(), signal: this.#stopping.signal }
    await within(promise, { ...limit, late })
  }

  #broadcastTimeoutMs(): number {
    return this.#config.broadcastTimeoutMs ?? 5000
  }

  async #logged(sentence: string, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (failure) {
      this.#deps.log.warn({ reason: messageOf(failure) }, sentence)
    }
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs()
  }

  #perform(effects: readonly SerfEffect[]): void {
    for (const effect of effects) this.#performOne(effect)
    if (this.#core.queued > 0) this.#memberlist?.hostQueued()
    this.#snapshotter.noteClock()
    this.#arm()
  }

  #performOne(effect: SerfEffect): void {
    switch (effect.kind) {
      case 'event':
        return this.#event(effect.event)
      case 'query':
        return this.#event(this.#queryEvent(effect.query))
      case 'internal-query':
        return this.#snapshotter.queryClock(effect.ltime)
      case 'key-query':
        this.#keyAnswers = this.#keyAnswers.then(() => this.#answerKeys(effect.query))
        return
      case 'send':
        return this.#memberlist?.sendUser(effect.to, effect.body, effect.node)
      case 'ask-rival':
        return void this.#askRival(effect.rival)
      case 'tell':
        return this.memberlist.tellUser(effect.nodes, effect.body)
      case 'intent':
        return this.#changes.tell()
      case 'reconnect':
        return void this.#reconnect(effect.address)
      case 'greet':
        return this.memberlist.greet(effect.node, effect.to)
      case 'answer':
        return this.#queries.get(effect.ltime)?.push(effect.answer)
      case 'answers-end':
        return this.#queries.get(effect.ltime)?.end()
      case 'log':
        return this.#deps.log[effect.level](effect.fields, effect.sentence)
    }
  }

  #event(event: SerfEvent): void {
    this.#snapshotter.event(event)
    if (event.kind === 'conflict-lost') this.#conflictLost(event)
    this.#events.tell(event)
    if (isMemberEvent(event)) this.#changes.tell()
  }

  async #askRival(rival: Address): Promise<void> {
    if (await this.memberlist.answers(this.#config.name, rival)) this.#core.rivalAnswered()
  }

  #conflictLost({ name, responses, matching }: { name: string; responses: number; matching: number }): void {
    const sentence = 'another node holds our name; gossip has stopped, services run on'
    this.#deps.log.error({ member: name, responses, matching }, sentence)
    void this.#logged('could not stop gossip', () => this.#stopGossip())
  }

  #queryEvent(query: ReceivedQuery): QueryEvent {
    const { name, payload, ltime, id, sourceNode } = query.message
    return {
      kind: 'query',
      name,
      payload,
      ltime,
      id,
      sourceNode,
      deadlineMs: query.deadlineMs,
      respond: async answer => this.#perform(this.#core.respond(query, answer, this.#nowMs())),
    }
  }

  async #answerKeys(query: ReceivedQuery): Promise<void> {
    const encoded = (payload: Uint8Array) => this.#core.encodeResponse(query.message, payload)
    await this.#logged('could not answer a key query', async () => {
      const answer = await answerKeys(query.message, this.#config, encoded, this.#retired)
      if (answer !== undefined) this.#perform(this.#core.respond(query, answer, this.#nowMs()))
    })
  }

  async #reconnect(address: string): Promise<void> {
    await this.#logged('could not try a failed member again', async () => {
      const { contacted } = await this.memberlist.join([address])
      if (contacted > 0) this.#deps.log.info({ address }, 'a failed member answers again')
    })
  }

  #arm(): void {
    if (this.#memberlist !== undefined) this.#wake.set(this.#core.nextTickMs())
  }
}
