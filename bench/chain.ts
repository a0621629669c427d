/** A balancer and its servers, joined by gossip: by Muster, or by what people put together by hand. */
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { apiRequest, type AgentStatus } from '../src/api/index.ts'
import { eventually, Part, part } from '../test/parts.ts'
import { command, serving } from './haproxy.ts'
import { type MembersPlan, membersCommand } from './members-plan.ts'
import type { Place } from './place.ts'
import { killAll } from './processes.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const HANDLERS = resolve(import.meta.dirname, 'hand-made')
const WEB = resolve(import.meta.dirname, 'web.mjs')
const BALANCER_HOST = 1
const STOP_MS = 5_000

export type Make = 'muster' | 'hand-made'

/** A server whose web process can be killed. */
export interface Crashable {
  readonly ip: string
  readonly agent: Part
  /** The pid of its web process, now. */
  webPid(): Promise<number>
  /** Starts the web process again where nobody else does. */
  revive(): void
}

export interface BalancerOptions {
  /** Of Muster's pool; by default as many as the template chooses. */
  readonly slots?: number
  /** The host that it joins; by default it waits to be joined. */
  readonly joins?: number
  /** By hand: tags that change are a reload, too; Muster always follows them. */
  readonly updates?: boolean
}

/** One chain. Its processes die with the benchmark. */
export class Chain implements AsyncDisposable {
  readonly make: Make
  readonly #place: Place
  readonly #directory: string
  readonly #parts: Part[] = []
  readonly #supervising: Part[] = []
  #balancer: Part | undefined

  /** @param place its hosts, from 1: what a killed agent of another chain leaves running still has its addresses */
  constructor(make: Make, place: Place, directory: string) {
    this.make = make
    this.#place = place
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
  }

  get site(): string {
    return `http://${this.ip(BALANCER_HOST)}:8080/`
  }

  /** HAProxy's socket for commands. */
  get adminSocket(): string {
    return join(this.#directory, this.make === 'muster' ? 'lb/r/haproxy.sock' : 'haproxy.sock')
  }

  /** HAProxy's configuration. */
  get haproxyConfig(): string {
    return join(this.#directory, this.make === 'muster' ? 'lb/s/haproxy.cfg' : 'haproxy.cfg')
  }

  /** The balancer's agent. */
  get balancer(): Part {
    if (this.#balancer === undefined) throw new Error(`${this.make}: no balancer has been started`)
    return this.#balancer
  }

  ip(host: number): string {
    return this.#place.ip(host)
  }

  startBalancer(options: BalancerOptions = {}): void {
    this.#balancer = this.make === 'muster' ? this.#musterBalancer(options) : this.#handMadeBalancer(options)
  }

  /** Waits until HAProxy answers or, by hand, where it starts with the first server, until the agent runs. */
  async untilBalancing(): Promise<void> {
    const isByHand = this.make === 'hand-made'
    await eventually(
      async () => (isByHand ? this.balancer.output.includes('agent running') : await serving(this.adminSocket)),
      Boolean,
    )
  }

  /** Kills the balancer's agent and HAProxy, and removes all that they have written. */
  async loseBalancer(): Promise<void> {
    await this.balancer.end('SIGKILL')
    await killAll(`${this.#directory}/`, 'haproxy.cfg')
    for (const name of ['lb', 'haproxy.cfg', 'haproxy.pid', 'haproxy.sock', 'members'])
      rmSync(join(this.#directory, name), { recursive: true, force: true })
  }

  /** What the balancer's agent knows: how many members have failed, since its start by hand. */
  async failed(): Promise<number> {
    if (this.make === 'hand-made') return this.balancer.output.split('EventMemberFailed').length - 1
    const status: AgentStatus = await apiRequest(join(this.#directory, 'lb/a.sock'), 'GET /v1/status')
    return status.members.failed
  }

  /** How often HAProxy was told to read its configuration again: its master counts, by hand the handlers do. */
  async reloads(): Promise<number> {
    if (this.make === 'hand-made') return readFileSync(join(this.#directory, 'reloads'), 'utf8').length
    const processes = await command(join(this.#directory, 'lb/r/haproxy-master.sock'), 'show proc')
    return Number(/^\d+\s+master\s+(\d+)/m.exec(processes)?.[1])
  }

  /** A web server that listens, without an agent. */
  async web(host: number): Promise<Part> {
    const web = this.webStarting([host])
    await eventually(
      () => fetch(`http://${this.ip(host)}:3000/`),
      answer => answer.ok,
    )
    return web
  }

  /** One web server on all of these hosts, which have to be one; it may not listen yet. */
  webStarting(hosts: readonly number[]): Part {
    return this.#part([process.execPath, WEB], { HOST: hosts.map(host => this.ip(host)).join() }, hosts[0])
  }

  /** Serf's members in one process, none of them with a program of its own; see `members.ts`. */
  members(plan: MembersPlan): Part {
    return this.#part(membersCommand(plan))
  }

  /**
   * An agent with nothing but a role, by the same flags in both chains.
   * @param host joins the balancer's host, unless it is that itself
   * @param joins address and port to join instead
   */
  agent(host: number, joins = `${this.ip(BALANCER_HOST)}:7946`): Part {
    const own = join(this.#directory, `n${host}`)
    const ip = this.ip(host)
    const program = this.make === 'muster' ? [process.execPath, MUSTER] : [part('serf')]
    const flags = ['agent', `-node=n${host}`, `-bind=${ip}:7946`, `-rpc-addr=${ip}:7373`, '-tag', 'role=backend']
    const joined = host === BALANCER_HOST ? [] : [`-join=${joins}`]
    const env = { MUSTER_STATE_DIR: `${own}/s`, MUSTER_RUN_DIR: `${own}/r` }
    return this.#part([...program, ...flags, ...joined], env, host)
  }

  /** A server with an agent, whose web process is there to be killed; Muster supervises it, by hand nobody does. */
  async crashable(host: number): Promise<Crashable> {
    if (this.make === 'muster') return this.#supervised(host)
    let web = await this.web(host)
    const agent = this.agent(host)
    const ip = this.ip(host)
    const revive = (): void => {
      web = this.webStarting([host])
    }
    return { ip, agent, revive, webPid: () => Promise.resolve(web.child.pid as number) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#supervising) one.child.kill('SIGTERM') // killed, it would leave its services running
    const stopped = Promise.all(this.#supervising.map(one => one.exited))
    await Promise.race([stopped, pause(STOP_MS, undefined, { ref: false })])
    await Promise.all(this.#parts.map(one => one.end('SIGKILL')))
    await killAll(`${this.#directory}/`, 'haproxy.cfg')
  }

  #musterBalancer({ slots, joins }: BalancerOptions): Part {
    const site = `${this.ip(BALANCER_HOST)}:8080`
    const web = slots === undefined ? {} : { slots }
    const config = {
      node: { name: 'lb', tags: { role: 'balancer' } },
      balancer: { stats: false, frontends: { http: { bind: site, pool: 'web' } }, pools: { web } },
    }
    return this.#configured('lb', BALANCER_HOST, config, joins).agent
  }

  #handMadeBalancer({ joins, updates = false }: BalancerOptions): Part {
    writeFileSync(join(this.#directory, 'members'), '')
    const ip = this.ip(BALANCER_HOST)
    const handlers = [
      `-event-handler=member-join=bash ${HANDLERS}/member-join.sh`,
      `-event-handler=member-leave,member-failed=bash ${HANDLERS}/member-leave.sh`,
      ...(updates ? [`-event-handler=member-update=bash ${HANDLERS}/reload.sh`] : []),
    ]
    const flags = ['agent', '-node=lb', `-bind=${ip}:7946`, `-rpc-addr=${ip}:7373`, '-tag', 'role=balancer']
    const joined = joins === undefined ? [] : [`-join=${this.ip(joins)}:7946`]
    const env = { CHAIN_DIR: this.#directory, CHAIN_SITE: `${ip}:8080` }
    return this.#part([part('serf'), ...flags, ...joined, ...handlers], env, BALANCER_HOST)
  }

  #supervised(host: number): Crashable {
    const ip = this.ip(host)
    const command = [process.execPath, WEB]
    const service = { command, env: { HOST: ip }, pool: 'web', port: 3000, ip, ready: { tcp: true } }
    const config = { node: { name: `n${host}` }, services: { web: service } }
    const { agent, socket } = this.#configured(`n${host}`, host, config, BALANCER_HOST)
    this.#supervising.push(agent)
    const webPid = async (): Promise<number> => {
      const status: AgentStatus = await apiRequest(socket, 'GET /v1/status')
      const pid = status.services.find(one => one.name === 'web')?.pid
      if (pid === undefined) throw new Error(`n${host} has no web process`)
      return pid
    }
    return { ip, agent, webPid, revive: () => undefined }
  }

  #configured(name: string, host: number, config: object, joins?: number): { agent: Part; socket: string } {
    const own = join(this.#directory, name)
    mkdirSync(own, { recursive: true })
    const [file, socket] = [join(own, 'muster.yaml'), join(own, 'a.sock')]
    const peers = joins === undefined ? [] : [`${this.ip(joins)}:7946`]
    const cluster = { bind: `${this.ip(host)}:7946`, rpc: false, join: peers }
    const places = { state_dir: join(own, 's'), run_dir: join(own, 'r'), api: { socket } }
    writeFileSync(file, JSON.stringify({ ...config, cluster, ...places }, undefined, 2)) // JSON is YAML
    return { socket, agent: this.#part([process.execPath, MUSTER, 'agent', '--config-file', file], {}, host) }
  }

  #part(argv: readonly string[], env: Record<string, string> = {}, host = BALANCER_HOST): Part {
    const started = new Part([...this.#place.enter(host), ...argv], env)
    this.#parts.push(started)
    return started
  }
}

/** Waits for the end of a process that was told to end. @throws when it takes longer than `withinMs` */
export async function ended(one: Part, withinMs: number): Promise<void> {
  if (one.child.exitCode !== null || one.child.signalCode !== null) return
  await once(one.child, 'exit', { signal: AbortSignal.timeout(withinMs) })
}
