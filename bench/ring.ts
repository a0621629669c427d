/** A ring of agents without any balancer, each on an address of its own, and what each of them believes of the others. */
import { join, resolve } from 'node:path'
import { connectRpc, type RpcClient } from '../src/serf/index.ts'
import { eventually, Part, part } from '../test/parts.ts'
import { membersCommand } from './members-plan.ts'
import type { Place } from './place.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const GOSSIP_PORT = 7946
const RPC_PORT = 7373
/** As many are started at once; each costs processor time, and a machine has few. */
const BATCH = 10
/** From one in-process member's start to the next. */
const EVERY_MS = 50
const FIRST_HOST = 1
const START_MS = 30_000
const WHOLE_MS = 120_000
const WHOLE_TRIES = 6

export type RingMake = 'muster' | 'serf'

/** How many members an agent holds to be what, over Serf's RPC. */
export interface Counts {
  readonly alive: number
  readonly failed: number
  readonly left: number
}

export class Ring implements AsyncDisposable {
  readonly #place: Place
  readonly #directory: string
  readonly #parts: Part[] = []
  readonly #clients = new Map<number, RpcClient>()

  constructor(place: Place, directory: string) {
    this.#place = place
    this.#directory = directory
  }

  /** Real agents of Serf's that have joined host 1. @returns them, in the order of `hosts` */
  startSerfs(hosts: readonly number[]): Promise<Part[]> {
    return this.#startAll(hosts, host => this.agent('serf', host, true))
  }

  /** Real agents of Muster's that have joined host 1. */
  startMusters(hosts: readonly number[]): Promise<Part[]> {
    return this.#startAll(hosts, host => this.agent('muster', host, true))
  }

  /** Members of Muster's make, all in one process (`members.ts`). Does not wait. */
  startMembers(hosts: readonly number[]): Part {
    const ips = Object.fromEntries(hosts.map(host => [host, this.#place.ip(host)]))
    const join = this.#gossip(FIRST_HOST)
    return this.#part(membersCommand({ ips, join, tags: { role: 'backend' }, everyMs: EVERY_MS, rpc: true }))
  }

  /** One agent. Does not wait. @param more flags */
  agent(make: RingMake, host: number, joins: boolean, more: readonly string[] = []): Part {
    const ip = this.#place.ip(host)
    const own = join(this.#directory, `${ip}`)
    const program = make === 'muster' ? [process.execPath, MUSTER] : [part('serf')]
    const flags = ['agent', `-node=n${host}`, `-bind=${ip}:${GOSSIP_PORT}`, `-rpc-addr=${ip}:${RPC_PORT}`]
    const joined = joins && host !== FIRST_HOST ? [`-join=${this.#gossip(FIRST_HOST)}`] : []
    const env = { MUSTER_STATE_DIR: `${own}/s`, MUSTER_RUN_DIR: `${own}/r` }
    return this.#part([...program, ...flags, '-tag', 'role=backend', ...joined, ...more], env)
  }

  /** Tells a host to join the first one. Resolves when it has. */
  async join(host: number): Promise<void> {
    await (await this.client(host)).join([this.#gossip(FIRST_HOST)])
  }

  /** What an agent believes. */
  async countsOf(host: number): Promise<Counts> {
    const { serf = {} } = await (await this.client(host)).stats()
    const [members, failed, left] = ['members', 'failed', 'left'].map(key => Number(serf[key]))
    const [all = Number.NaN, f = Number.NaN, l = Number.NaN] = [members, failed, left]
    return { alive: all - f - l, failed: f, left: l }
  }

  /**
   * Waits until all those that have been connected to hold `size` members to be alive. Gossip may miss one now and then, of
   * either make, and the next full exchange may be minutes away: who has missed something after a while joins again.
   */
  async untilWhole(size: number): Promise<void> {
    for (let i = 1; ; i++) {
      const found = eventually(
        () => this.#lacking(size),
        lacking => lacking.length === 0,
        WHOLE_MS / WHOLE_TRIES,
        250,
      )
      if (i === WHOLE_TRIES) return void (await found)
      const lacking = await found.catch(() => this.#lacking(size))
      if (lacking.length === 0) return
      for (const host of lacking) await this.join(host)
    }
  }

  /** The connection to an agent, which is kept; waits until it answers. */
  async client(host: number): Promise<RpcClient> {
    const known = this.#clients.get(host)
    if (known !== undefined) return known
    const address = { ip: this.#place.ip(host), port: RPC_PORT }
    const client = await eventually(
      () => connectRpc(address, { timeoutMs: 2_000 }),
      () => true,
      START_MS,
    )
    this.#clients.set(host, client)
    return client
  }

  /** Ends the connections, all or one. */
  hangUp(host?: number): void {
    for (const [one, client] of this.#clients) {
      if (host !== undefined && one !== host) continue
      client.close()
      this.#clients.delete(one)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp()
    await Promise.all(this.#parts.map(one => one.end('SIGKILL')))
  }

  /** The hosts that do not hold `size` members to be alive. */
  async #lacking(size: number): Promise<number[]> {
    const hosts = [...this.#clients.keys()]
    const counts = await Promise.all(hosts.map(host => this.countsOf(host)))
    return hosts.filter((_, index) => counts[index]?.alive !== size)
  }

  async #startAll(hosts: readonly number[], start: (host: number) => Part): Promise<Part[]> {
    const started: Part[] = []
    // The first host alone: an agent of Serf's that finds nobody to join ends.
    for (let i = 0, size = 1; i < hosts.length; i += size, size = BATCH) {
      const batch = hosts.slice(i, i + size)
      started.push(...batch.map(start))
      await Promise.all(batch.map(host => this.client(host)))
    }
    return started
  }

  #gossip(host: number): string {
    return `${this.#place.ip(host)}:${GOSSIP_PORT}`
  }

  #part(argv: readonly string[], env: Record<string, string> = {}): Part {
    const started = new Part(argv, env)
    this.#parts.push(started)
    return started
  }
}
