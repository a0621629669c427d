/** Ten agents of each make on twenty hosts, encrypted, asked by the real `serf` command on their own hosts. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Hosts } from '../hosts.ts'
import { eventually, type MemberRow, part } from '../parts.ts'
import { Tier } from '../tier.ts'

export type Make = 'serf' | 'muster'
/** What a host is, as whoever did it knows. */
export type Condition = 'up' | 'killed' | 'frozen' | 'cut' | 'deaf' | 'left'

export interface Host {
  readonly number: number
  readonly name: string
  readonly make: Make
  readonly tags: Map<string, string>
  condition: Condition
}

const NET = 210
const NOTE = '#!/bin/sh\necho "$SERF_USER_EVENT" >> "$0.$SERF_SELF_NAME"\n'

/** A key as keyrings hold it. */
export const newKey = (): string => randomBytes(16).toString('base64')

export class SoakRing implements AsyncDisposable {
  readonly hosts: readonly Host[]
  readonly network: Hosts
  readonly #tier: Tier
  readonly #note: string
  key = newKey()

  private constructor(network: Hosts, tier: Tier, each: number) {
    this.network = network
    this.#tier = tier
    this.#note = join(tier.directory, 'note.sh')
    writeFileSync(this.#note, NOTE)
    chmodSync(this.#note, 0o755)
    this.hosts = Array.from({ length: 2 * each }, (_, i) => {
      const make: Make = i % 2 === 0 ? 'serf' : 'muster'
      return { number: i + 1, name: `${make}-${i + 1}`, make, tags: new Map([['role', 'web']]), condition: 'up' }
    })
  }

  /** @param each how many of each make */
  static async open(each: number): Promise<SoakRing> {
    const numbers = Array.from({ length: 2 * each }, (_, i) => i + 1)
    const network = await Hosts.open(NET, numbers)
    const ring = new SoakRing(network, await Tier.open(network), each)
    for (const host of ring.hosts) await ring.start(host)
    return ring
  }

  /** Starts it, or starts it again, with what it had on its disk. */
  async start(host: Host): Promise<void> {
    const directory = join(this.#tier.directory, `d-${host.name}`)
    mkdirSync(directory, { recursive: true })
    const keyring = join(directory, 'keyring')
    if (!existsSync(keyring)) writeFileSync(keyring, JSON.stringify([this.key]), { mode: 0o600 })
    const join1 = host.number === 1 ? 2 : 1
    const handler = `user=${this.#note}`
    const tags = Object.fromEntries(host.tags)
    host.condition = 'up'
    if (host.make === 'serf') {
      const peers = [`-retry-join=${this.#tier.gossip(join1)}`, '-retry-interval=1s', `-snapshot=${directory}/snapshot`]
      const flags = [...peers, `-keyring-file=${keyring}`, `-event-handler=${handler}`]
      const tagFlags = Object.entries(tags).map(([key, value]) => `-tag=${key}=${value}`)
      await this.#tier.serf(host.name, host.number, [...flags, ...tagFlags])
    } else {
      const cluster = { join: [this.#tier.gossip(join1)], keyring, snapshot: `${directory}/snapshot` }
      this.#tier.muster(host.name, host.number, { node: { tags }, cluster, event_handlers: [handler] })
    }
    await eventually(
      () => this.members(host),
      rows => rows.length > 0,
    )
  }

  async signal(host: Host, signal: string): Promise<void> {
    await this.#tier.signal(host.name, signal)
  }

  /** What Serf's command prints on that host, of its own agent. */
  async ask(host: Host, ...argv: string[]): Promise<string> {
    const [command = '', ...rest] = argv
    const address = `-rpc-addr=${this.#tier.ip(host.number)}:7373`
    return await this.network.exec(host.number, part('serf'), command, address, ...rest)
  }

  async members(host: Host): Promise<MemberRow[]> {
    const { members } = JSON.parse(await this.ask(host, 'members', '-format=json')) as { members: MemberRow[] | null }
    return members ?? []
  }

  /** Names of the user events that its handler was told of. */
  heardBy(host: Host): ReadonlySet<string> {
    const path = `${this.#note}.${host.name}`
    return new Set(existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tier[Symbol.asyncDispose]()
  }
}
