import type { Address } from '../base/index.ts'
import type { Alarm } from './alarms.ts'
import { addressOf, answersStreamPings, type Entry, isUp, type Member, sendsNacks } from './member.ts'
import type { Membership, Shared } from './membership.ts'
import type { Ack, IndirectPing, Nack, Ping, PacketMessage } from './messages.ts'
import type { Sender } from './sender.ts'

/** Who waits for an answer with this sequence number. Used once. */
interface Waiting {
  readonly ack: OnAck
  readonly nack: (() => void) | undefined
}

type OnAck = (payload: Uint8Array | undefined, nowMs: number) => void

interface Probe {
  readonly target: Entry
  readonly incarnation: number
  readonly ping: Ping
  readonly startedAtMs: number
  readonly deadlineMs: number
  alarm: Alarm | undefined
  asksOthers: boolean
  sendFailed: boolean
  nacksWanted: number
  nacks: number
  streamAnswered: boolean
}

/** How many pings we relay for others at a time; more are refused, so that nobody can use us to flood a third. */
const WAITING_MAX = 4096

/** The failure detector: one probe at a time, directly, then through others and over a stream (SWIM §3.1, Lifeguard). */
export class Prober {
  readonly #shared: Shared
  readonly #membership: Membership
  readonly #sender: Sender
  readonly #waiting = new Map<number, Waiting>()
  #seqNo = 0
  #probe: Probe | undefined
  #tickPending = false

  constructor(shared: Shared, membership: Membership, sender: Sender) {
    this.#shared = shared
    this.#membership = membership
    this.#sender = sender
  }

  /** Starts the next probe, or remembers one tick, however many fall into a probe that still runs. */
  tick(nowMs: number): void {
    if (this.#probe !== undefined) this.#tickPending = true
    else this.#start(nowMs)
  }

  ack(ack: Ack, nowMs: number): void {
    const waiting = this.#waiting.get(ack.seqNo)
    if (waiting === undefined) return
    this.#waiting.delete(ack.seqNo)
    waiting.ack(ack.payload, nowMs)
  }

  nack(nack: Nack): void {
    this.#waiting.get(nack.seqNo)?.nack?.()
  }

  streamPingDone(seqNo: number, answered: boolean): void {
    if (this.#probe?.ping.seqNo === seqNo) this.#probe.streamAnswered ||= answered
  }

  /** The system refused to send to this member: no use in waiting for its direct answer. */
  sendFailed(node: string, nowMs: number): void {
    const probe = this.#probe
    if (probe === undefined || probe.target.name !== node || probe.asksOthers) return
    probe.sendFailed = true
    this.#shared.alarms.cancel(probe.alarm)
    this.#askOthers(probe, nowMs)
  }

  /** Pings a third on somebody's behalf, and passes on that it answered, or (if asked to) that it did not. */
  relay(request: IndirectPing, from: Address, target: Address, nowMs: number): void {
    const { alarms, config, counters } = this.#shared
    if (this.#waiting.size >= WAITING_MAX) return void counters.relaysRefused++
    const ping = this.#ping(request.node)
    const asker = request.sourceNode === undefined ? undefined : this.#shared.table.get(request.sourceNode)
    const { seqNo } = request
    const unanswered = alarms.set(nowMs + config.probeTimeoutMs, () => {
      this.#waiting.delete(ping.seqNo)
      if (request.nack) this.#sender.withGossip(from, asker, { type: 'nack', seqNo })
    })
    this.#await(ping, () => {
      alarms.cancel(unanswered)
      this.#sender.withGossip(from, asker, { type: 'ack', seqNo, payload: undefined })
    })
    this.#sender.withGossip(target, this.#shared.table.get(request.node), ping)
  }

  /**
   * News straight to one member: a compound of a ping and the message, as it is when it is sent, repeated until acked.
   * Ordinary wire to everybody; the ping is there to learn that it arrived.
   */
  tell(member: Member, news: () => PacketMessage, repeatAfterMs: readonly number[], nowMs: number): void {
    if (this.#waiting.size >= WAITING_MAX) return
    const ping = this.#ping(member.name)
    const pending: Alarm[] = []
    const send = () => this.#sender.exactly(member, [ping, news()])
    for (const afterMs of repeatAfterMs) pending.push(this.#shared.alarms.set(nowMs + afterMs, send))
    const lastMs = Math.max(...repeatAfterMs) + this.#shared.config.probeTimeoutMs
    pending.push(this.#shared.alarms.set(nowMs + lastMs, () => void this.#waiting.delete(ping.seqNo)))
    this.#await(ping, () => {
      for (const alarm of pending) this.#shared.alarms.cancel(alarm)
    })
    send()
  }

  /**
   * A ping to somebody whom we hold for dead. If he is there after all we hear it within a round trip, and if he came back
   * empty our ping tells him of us. Less than a join, so that it can be sent every second.
   */
  greet(node: string, to: Address, onAck: () => void, nowMs: number): void {
    if (this.#waiting.size >= WAITING_MAX) return
    const ping = this.#ping(node)
    const { alarms, config } = this.#shared
    const unanswered = alarms.set(nowMs + config.probeTimeoutMs, () => void this.#waiting.delete(ping.seqNo))
    this.#await(ping, () => {
      alarms.cancel(unanswered)
      onAck()
    })
    this.#sender.withGossip(to, undefined, ping)
  }

  #await({ seqNo }: Ping, ack: OnAck, nack?: () => void): void {
    this.#waiting.set(seqNo, { ack, nack })
  }

  #start(nowMs: number): void {
    const target = this.#nextTarget(nowMs)
    if (target === undefined) return
    const { config, awareness, alarms } = this.#shared
    const ping = this.#ping(target.name)
    const probe: Probe = {
      target,
      incarnation: target.incarnation,
      ping,
      startedAtMs: nowMs,
      deadlineMs: nowMs + awareness.scaleMs(config.probeIntervalMs),
      alarm: undefined,
      asksOthers: false,
      sendFailed: false,
      nacksWanted: 0,
      nacks: 0,
      streamAnswered: false,
    }
    this.#probe = probe
    this.#await(
      ping,
      (payload, atMs) => this.#acked(probe, payload, atMs),
      () => void probe.nacks++,
    )
    probe.alarm = alarms.set(nowMs + config.probeTimeoutMs, atMs => this.#askOthers(probe, atMs))
    this.#sendPing(probe)
  }

  #nextTarget(nowMs: number): Entry | undefined {
    const { table, config, contested } = this.#shared
    for (const name of contested) {
      contested.delete(name)
      const member = table.get(name)
      if (member !== undefined && !this.#membership.isLocal(member) && isUp(member)) return member
    }
    return table.nextProbe(
      member => !this.#membership.isLocal(member) && isUp(member),
      member =>
        !isUp(member) &&
        !this.#membership.isLocal(member) &&
        nowMs - member.stateChangedAtMs > config.gossipToTheDeadMs,
    )
  }

  #sendPing({ target, ping }: Probe): void {
    const isTold = target.state !== 'alive' && this.#shared.config.buddySystem !== false
    if (!isTold) return this.#sender.withGossip(addressOf(target), target, ping)
    // Lifeguard's buddy system: a suspect hears the accusation with the very next ping, and can refute in time.
    const { incarnation, name: node } = target
    const from = this.#membership.local.name
    this.#sender.exactly(target, [ping, { type: 'suspect', incarnation, node, from }])
  }

  #askOthers(probe: Probe, nowMs: number): void {
    const { table, config, alarms } = this.#shared
    const { target, ping } = probe
    probe.asksOthers = true
    const isHelper = (member: Member) =>
      member.state === 'alive' && member.name !== target.name && !this.#membership.isLocal(member)
    for (const helper of table.randomMembers(config.indirectChecks, isHelper)) {
      const nack = config.awarenessMaxMultiplier > 1 && sendsNacks(helper) // only our health score counts them
      if (nack) probe.nacksWanted++
      const request = { ...ping, target: target.addr, port: target.port, node: target.name, nack }
      this.#sender.withGossip(addressOf(helper), helper, { ...request, type: 'indirectPing' })
    }
    probe.alarm = alarms.set(probe.deadlineMs, atMs => this.#expire(probe, atMs))
    if (config.disableTcpPings || !answersStreamPings(target)) return
    const timeoutMs = Math.max(1, probe.deadlineMs - nowMs)
    this.#shared.emit({ kind: 'stream-ping', to: addressOf(target), ping, timeoutMs })
  }

  #acked(probe: Probe, payload: Uint8Array | undefined, nowMs: number): void {
    this.#shared.alarms.cancel(probe.alarm)
    if (!probe.sendFailed) this.#shared.awareness.apply(-1)
    this.#membership.answered(probe.target)
    const rttMs = nowMs - probe.startedAtMs
    if (!probe.asksOthers) this.#shared.emit({ kind: 'ping-done', member: probe.target, rttMs, payload })
    this.#finish(nowMs)
  }

  #expire(probe: Probe, nowMs: number): void {
    this.#waiting.delete(probe.ping.seqNo)
    const { awareness, emit } = this.#shared
    const { incarnation, target } = probe
    if (probe.streamAnswered) {
      awareness.apply(-1)
      const fields = { member: target.name }
      emit({ kind: 'log', level: 'warn', fields, sentence: 'answers on TCP but not on UDP: is UDP blocked?' })
    } else {
      awareness.apply(probe.nacksWanted > 0 ? Math.max(0, probe.nacksWanted - probe.nacks) : 1)
      this.#membership.silent(target, incarnation, nowMs)
    }
    this.#finish(nowMs)
  }

  #finish(nowMs: number): void {
    this.#probe = undefined
    if (!this.#tickPending) return
    this.#tickPending = false
    this.#start(nowMs)
  }

  #ping(node: string): Ping {
    this.#seqNo = (this.#seqNo + 1) >>> 0
    const { addr: sourceAddr, port: sourcePort, name: sourceNode } = this.#membership.local
    return { type: 'ping', seqNo: this.#seqNo, node, sourceAddr, sourcePort, sourceNode }
  }
}
