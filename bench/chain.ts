/** A balancer and its servers, joined by gossip: by Muster, or by what people put together by hand. */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { apiRequest, type AgentStatus } from '../src/api/index.ts'
import { eventually, Part, part } from '../test/parts.ts'

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

/** One chain. Its processes die with the benchmark. */
export class Chain implements AsyncDisposable {
  readonly make: Make
  readonly #net: string
  readonly #firstHost: number
  readonly #directory: string
  readonly #parts: Part[] = []

  /**
   * @param net the first three numbers of all its addresses
   * @param firstHost added to the last: what a killed agent of another chain leaves running still has its addresses
   */
  constructor(make: Make, net: string, directory: string, firstHost: number) {
    this.#firstHost = firstHost
    this.make = make
    this.#net = net
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

  ip(host: number): string {
    return `${this.#net}.${this.#firstHost + host}`
  }

  startBalancer(): void {
    if (this.make === 'muster') this.#musterBalancer()
    else this.#handMadeBalancer()
  }

  /** A web server that listens, without an agent. */
  async web(host: number): Promise<Part> {
    const web = this.#part([process.execPath, WEB], { HOST: this.ip(host) })
    await eventually(
      () => fetch(`http://${this.ip(host)}:3000/`),
      answer => answer.ok,
    )
    return web
  }

  /**
   * An agent with nothing but a role, by the same flags in both chains.
   * @param host joins the balancer's host, unless it is that itself
   */
  agent(host: number): Part {
    const own = join(this.#directory, `n${host}`)
    const ip = this.ip(host)
    const program = this.make === 'muster' ? [process.execPath, MUSTER] : [part('serf')]
    const flags = ['agent', `-node=n${host}`, `-bind=${ip}:7946`, `-rpc-addr=${ip}:7373`, '-tag', 'role=backend']
    const joined = host === BALANCER_HOST ? [] : [`-join=${this.ip(BALANCER_HOST)}:7946`]
    return this.#part([...program, ...flags, ...joined], { MUSTER_STATE_DIR: `${own}/s`, MUSTER_RUN_DIR: `${own}/r` })
  }

  /** A server with an agent, whose web process is there to be killed; Muster supervises it, by hand nobody does. */
  async crashable(host: number): Promise<Crashable> {
    if (this.make === 'muster') return this.#supervised(host)
    let web = await this.web(host)
    const agent = this.agent(host)
    const ip = this.ip(host)
    const revive = (): void => {
      web = this.#part([process.execPath, WEB], { HOST: ip })
    }
    return { ip, agent, revive, webPid: () => Promise.resolve(web.child.pid as number) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Politely first: a killed agent of Muster leaves its services and HAProxy running.
    for (const one of this.#parts) one.child.kill('SIGTERM')
    await Promise.race([Promise.all(this.#parts.map(one => one.exited)), pause(STOP_MS, undefined, { ref: false })])
    await Promise.all(this.#parts.map(one => one.end('SIGKILL')))
  }

  #musterBalancer(): void {
    const site = `${this.ip(BALANCER_HOST)}:8080`
    this.#configured('lb', BALANCER_HOST, {
      node: { name: 'lb', tags: { role: 'balancer' } },
      balancer: { stats: false, frontends: { http: { bind: site, pool: 'web' } }, pools: { web: {} } },
    })
  }

  #handMadeBalancer(): void {
    writeFileSync(join(this.#directory, 'members'), '')
    const ip = this.ip(BALANCER_HOST)
    const handlers = [
      `-event-handler=member-join=bash ${HANDLERS}/member-join.sh`,
      `-event-handler=member-leave,member-failed=bash ${HANDLERS}/member-leave.sh`,
    ]
    const flags = ['agent', '-node=lb', `-bind=${ip}:7946`, `-rpc-addr=${ip}:7373`, '-tag', 'role=balancer']
    const env = { CHAIN_DIR: this.#directory, CHAIN_SITE: `${ip}:8080` }
    this.#part([part('serf'), ...flags, ...handlers], env)
  }

  #supervised(host: number): Crashable {
    const ip = this.ip(host)
    const command = [process.execPath, WEB]
    const service = { command, env: { HOST: ip }, pool: 'web', port: 3000, ip, ready: { tcp: true } }
    const { agent, socket } = this.#configured(`n${host}`, host, {
      node: { name: `n${host}` },
      services: { web: service },
    })
    const webPid = async (): Promise<number> => {
      const status: AgentStatus = await apiRequest(socket, 'GET /v1/status')
      const pid = status.services.find(one => one.name === 'web')?.pid
      if (pid === undefined) throw new Error(`n${host} has no web process`)
      return pid
    }
    return { ip, agent, webPid, revive: () => undefined }
  }

  #configured(name: string, host: number, config: object): { agent: Part; socket: string } {
    const own = join(this.#directory, name)
    mkdirSync(own, { recursive: true })
    const [file, socket] = [join(own, 'muster.yaml'), join(own, 'a.sock')]
    const peers = host === BALANCER_HOST ? [] : [`${this.ip(BALANCER_HOST)}:7946`]
    const cluster = { bind: `${this.ip(host)}:7946`, rpc: false, join: peers }
    const places = { state_dir: join(own, 's'), run_dir: join(own, 'r'), api: { socket } }
    writeFileSync(file, JSON.stringify({ ...config, cluster, ...places }, undefined, 2)) // JSON is YAML
    return { socket, agent: this.#part([process.execPath, MUSTER, 'agent', '--config-file', file]) }
  }

  #part(command: readonly string[], env: Record<string, string> = {}): Part {
    const started = new Part(command, env)
    this.#parts.push(started)
    return started
  }
}

/** Waits for the end of a process that was told to end. @throws when it takes longer than `withinMs` */
export async function ended(one: Part, withinMs: number): Promise<void> {
  if (one.child.exitCode !== null || one.child.signalCode !== null) return
  await once(one.child, 'exit', { signal: AbortSignal.timeout(withinMs) })
}
