import { type Address, assert, type Random, seededRandom } from '../base/index.ts'
import { type Change, type Member, PROFILES, type SwimConfig, type Timing } from '../memberlist/index.ts'
import { encodeTags, type Tags } from '../serf/index.ts'
import { discordOf, type Expected } from './discord.ts'
import { type NetworkConfig, SimulatedNetwork } from './network.ts'
import { sharedCodec } from './shared-codec.ts'
import { SimulatedMember, type World } from './simulated-member.ts'
import { addTraffic, noTraffic, type Traffic } from './traffic.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface RingConfig extends NetworkConfig {
  readonly members: number
  /** Replays the whole run. */
  readonly seed: number
  /** What differs from memberlist's LAN profile. */
  readonly timing?: Partial<Timing & Pick<SwimConfig, 'buddySystem'>>
  /** Starts in the middle: everybody has known everybody for long, nobody has to join; default false. */
  readonly formed?: boolean
  /** Serf's core above each memberlist: statuses, intents, tags and user events; default false. */
  readonly serf?: boolean
  /** Without Serf, how often a random failed member is tried again, as Serf does; default 30 000, 0: never. */
  readonly rejoinIntervalMs?: number
}

const PORT = 7946

/** Entries in a list: more members than memory holds. */
const MEMBERS_MAX = 20_000

/** A ring of real cores on a simulated network: `m1` to `mN`, all started, nobody joined unless it is to be formed. */
export class Ring implements World {
  readonly clock = new VirtualClock()
  readonly network: SimulatedNetwork
  readonly random: Random
  readonly #config: RingConfig
  readonly #hosts = new Map<string, SimulatedMember>()
  readonly #byIp = new Map<string, SimulatedMember>()
  /** Says that it leaves, and still runs. */
  readonly #leaving = new Set<string>()
  readonly #gone = new Map<string, 'left' | 'failed'>()
  readonly #events: { name: string; audience: WeakSet<SimulatedMember> }[] = []
  readonly #codec = sharedCodec()
  /** Of those whose process runs no more. */
  readonly #retired = noTraffic()
  #doubted = ''
  /** Told of every change in anybody's view, once it is set. */
  onChange: ((observer: SimulatedMember, change: Change, member: Member) => void) | undefined
  /** Told of every user event that comes to anybody, once it is set. */
  onEvent: ((observer: SimulatedMember, event: string) => void) | undefined

  constructor(config: RingConfig) {
    this.#config = config
    this.random = seededRandom(config.seed)
    this.network = new SimulatedNetwork(this.clock, this.random, config)
    for (let number = 1; number <= config.members; number++) this.start(`m${number}`)
    if (config.formed === true) this.#form()
    if (config.serf !== true) this.#rejoinForEver()
  }

  /** Those whose process runs, members that have left on purpose included. */
  get running(): readonly SimulatedMember[] {
    return [...this.#hosts.values()]
  }

  /** Those who ran once, and run no more. */
  get gone(): readonly string[] {
    return [...this.#gone.keys()]
  }

  /** What all have sent since the start. */
  traffic(): Traffic {
    const sum = { ...this.#retired }
    for (const { traffic } of this.#hosts.values()) addTraffic(sum, traffic)
    return sum
  }

  has(name: string): boolean {
    return this.#hosts.has(name)
  }

  member(name: string): SimulatedMember {
    const found = this.#hosts.get(name)
    assert(found !== undefined, `${name} is running`)
    return found
  }

  /** Starts it, or starts it again with nothing remembered, at the same address. */
  start(name: string): SimulatedMember {
    const number = Number(name.slice(1))
    const addr = Uint8Array.of(10, number >> 16, (number >> 8) & 0xff, number & 0xff)
    const config: SwimConfig = {
      ...PROFILES.lan,
      ...this.#config.timing,
      name,
      addr,
      port: PORT,
      meta: encodeTags({}),
      vsn: [1, 5, 2, 2, 5, 5],
      packetOverheadBytes: 0,
      membersMax: MEMBERS_MAX,
    }
    this.stop(name)
    this.#gone.delete(name)
    const member = new SimulatedMember(this, config, this.#codec, this.#config.serf ?? false)
    this.#hosts.set(name, member)
    this.#byIp.set(member.swim.local.ip, member)
    return member
  }

  /** The process is gone without a word, unless it has said that it leaves. */
  stop(name: string): void {
    const member = this.#hosts.get(name)
    if (member === undefined) return
    member.stop()
    addTraffic(this.#retired, member.traffic)
    this.#hosts.delete(name)
    this.#byIp.delete(member.swim.local.ip)
    this.#gone.set(name, this.#leaving.delete(name) ? 'left' : 'failed')
  }

  /** Says that it leaves; the process still runs. */
  leave(name: string): void {
    this.#leaving.add(name)
    this.member(name).leave()
  }

  /** @param tell who hears of it directly */
  setTags(name: string, tags: Tags, tell: readonly string[] = []): void {
    this.member(name).updateMeta(encodeTags(tags), tell)
  }

  /** Sends a user event to everybody who runs now, with Serf only. */
  userEvent(from: string): string {
    const name = `event-${this.#events.length + 1}`
    this.#events.push({ name, audience: new WeakSet(this.running) })
    this.member(from).serf?.userEvent(name)
    return name
  }

  changed(observer: SimulatedMember, change: Change, member: Member): void {
    this.onChange?.(observer, change, member)
  }

  delivered(observer: SimulatedMember, event: string): void {
    this.onEvent?.(observer, event)
  }

  /** Everybody joins `m1`, at random times within `withinMs`. */
  joinAll(withinMs = 2000): void {
    const first = this.member('m1').address
    for (const member of this.running) {
      if (member.name !== 'm1') this.clock.after(this.random.float() * withinMs, () => member.join(first))
    }
  }

  at(address: Address): SimulatedMember | undefined {
    return address.port === PORT ? this.#byIp.get(address.ip) : undefined
  }

  /** Everybody sees everybody as they are: see `discordOf`. */
  converged = (): boolean => this.discord() === undefined

  /** Something that somebody sees otherwise than it is, for people; undefined: converged. */
  discord(): string | undefined {
    const expected = this.#expected()
    const { present } = expected
    // Who disagreed last is asked first: while the last few still learn, nobody has to be compared with everybody.
    const doubted = present.findIndex(({ name }) => name === this.#doubted)
    const observers = doubted < 0 ? present : [...present.slice(doubted), ...present.slice(0, doubted)]
    for (const observer of observers) {
      this.#doubted = observer.name
      const found = discordOf(observer, expected)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** How long it took until `done`, looked at every `stepMs`; undefined: not within `withinMs`. */
  runUntil(done: () => boolean, withinMs: number, stepMs = 100): number | undefined {
    const startedAtMs = this.clock.nowMs()
    while (!done()) {
      if (this.clock.nowMs() - startedAtMs >= withinMs) return undefined
      this.clock.advance(stepMs)
    }
    return this.clock.nowMs() - startedAtMs
  }

  #form(): void {
    // Copied out of ten thousand views once, and not ten thousand times.
    const everybody = this.running.map(({ swim: { local } }) => {
      const { name, addr, ip, port, meta, vsn, incarnation, state, stateChangedAtMs } = local
      return { name, addr, ip, port, meta, vsn, incarnation, state, stateChangedAtMs }
    })
    for (const member of this.running) member.know(everybody)
  }

  #expected(): Expected {
    const events = this.#config.serf === true ? this.#events : []
    return { present: this.running.filter(({ name }) => !this.#leaving.has(name)), gone: this.#gone, events }
  }

  #rejoinForEver(): void {
    const intervalMs = this.#config.rejoinIntervalMs ?? 30_000
    if (intervalMs === 0) return
    this.clock.after(intervalMs, () => {
      for (const member of this.running) {
        // Each at its own moment, as processes started at different times would.
        this.clock.after(this.random.float() * intervalMs, () => member.rejoin())
      }
      this.#rejoinForEver()
    })
  }
}
