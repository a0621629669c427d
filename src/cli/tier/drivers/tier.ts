import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AgentStatus, apiRequest } from '../../../api/index.ts'
import { type Clock, identify, isAlive, type ProcessIdentity, signalProcess, sleep } from '../../../base/index.ts'
import { classicTemplate } from '../classic-template.ts'
import type { DemoOptions } from '../../demo/options.ts'
import { canListen, type DemoPorts } from './ports.ts'
import { type DemoProcess, type ProcessPlaces, startProcess } from './processes.ts'

/** Where the demo's files and programs are. */
export interface TierPlaces extends ProcessPlaces {
  /** `bin/muster`. */
  readonly program: string
  /** `dist/webapp.js`. */
  readonly webapp: string
  readonly ports: DemoPorts
  readonly engine: DemoOptions['engine']
  /** Whether this machine has more than one loopback address. */
  readonly manyLoopbacks: boolean
}

export interface DemoServer {
  readonly name: string
  readonly ip: string
  readonly port: number
  readonly agent: RunningAgent
  /** The real Serf agent beside it, where that is the engine. */
  readonly gossiper: DemoProcess | undefined
}

/** An agent in a process of its own. */
export interface RunningAgent extends DemoProcess {
  status(): Promise<AgentStatus>
}

/** How an agent of the demo knows the ring. */
interface DemoEngine {
  /** Of its configuration. */
  readonly cluster: object
  readonly gossiper: DemoProcess | undefined
}

const BALANCER_IP = '127.0.0.1'
const ADDRESS_LAST = 250
/**
 * The kernel has closed the sockets of a killed process; until HAProxy has read so, on a busy machine, it may still put a
 * request on one of them. Those count as in flight at the kill.
 */
const NEWS_MS = 20

/** The tier on one machine: a balancer's agent, and servers with an agent each, all children of the demo. */
export class Tier {
  readonly servers: DemoServer[] = []
  readonly #places: TierPlaces
  readonly #clock: Clock
  #balancer: RunningAgent | undefined
  #balancerEngine: DemoEngine | undefined
  #next = 1

  constructor(places: TierPlaces, clock: Clock) {
    this.#places = places
    this.#clock = clock
  }

  get siteUrl(): string {
    return `http://${BALANCER_IP}:${this.#places.ports.site}/`
  }

  get statsUrl(): string {
    return `http://${BALANCER_IP}:${this.#places.ports.stats}/`
  }

  get balancer(): RunningAgent {
    if (this.#balancer === undefined) throw new Error('the balancer has not been started')
    return this.#balancer
  }

  /** Starts the balancer's agent, or starts it again after it was killed. */
  startBalancer(template: DemoOptions['template']): RunningAgent {
    const { ports, directory } = this.#places
    this.#balancerEngine ??= this.#engine('balancer', { ip: BALANCER_IP, gossip: ports.gossip, rpc: ports.rpc }, [])
    const site = `${BALANCER_IP}:${ports.site}`
    const stats = `${BALANCER_IP}:${ports.stats}`
    const classicPath = join(directory, 'classic.hbs')
    writeFileSync(classicPath, classicTemplate({ site, stats, webPort: ports.web }))
    this.#balancer = this.#startAgent('balancer', {
      node: { name: 'balancer', tags: { role: 'balancer' } },
      cluster: this.#balancerEngine.cluster,
      balancer: {
        template: template === 'classic' ? classicPath : template,
        stats,
        frontends: { http: { bind: site, pool: 'web' } },
        pools: { web: { check: { http: '/' } } },
      },
    })
    return this.#balancer
  }

  /** Starts one more server with its agent; a taken address is skipped. */
  async addServer(): Promise<DemoServer> {
    const { port, ip, name, ...at } = await this.#nextAddress()
    const { cluster, gossiper } = this.#engine(name, { ip, ...at }, [`${BALANCER_IP}:${this.#places.ports.gossip}`])
    const env = { PORT: port, HOST: ip, SERVER_IP: ip, SERVER_NAME: name, SERVER_TAG: 'demo' }
    const agent = this.#startAgent(name, {
      node: { name },
      cluster,
      services: {
        web: {
          command: [process.execPath, this.#places.webapp],
          env: { ...env, SERVER_LEDGER: join(this.#places.directory, `${name}.ledger`) },
          pool: 'web',
          port,
          ip,
          ready: { http: '/' },
        },
      },
    })
    const server = { name, ip, port, agent, gossiper }
    this.servers.push(server)
    return server
  }

  /** SIGTERM: drain, leave, stop. Resolves when its agent has ended. */
  async stopServer(server: DemoServer): Promise<void> {
    this.#forget(server)
    signalProcess(server.agent.identity, 'SIGTERM')
    await server.agent.ended
    if (server.gossiper === undefined) return
    signalProcess(server.gossiper.identity, 'SIGINT') // it leaves; on SIGTERM Serf would not
    await server.gossiper.ended
  }

  /**
   * kill -9 of the web process; its agent starts it again.
   * @returns the identity of what was killed, once it is gone
   */
  async killWeb(server: DemoServer): Promise<ProcessIdentity> {
    const web = await this.webOf(server)
    if (web === undefined) throw new Error(`${server.name} has no web process`)
    signalProcess(web, 'SIGKILL')
    await this.#gone([web])
    return web
  }

  /** kill -9 of a server's agent and web process together, as if the host had vanished. Resolves when both are gone. */
  async killServer(server: DemoServer): Promise<void> {
    const web = await this.webOf(server)
    this.#forget(server)
    const all = [server.agent.identity, server.gossiper?.identity, web].filter(identity => identity !== undefined)
    for (const identity of all) signalProcess(identity, 'SIGKILL')
    await this.#gone(all)
  }

  /** kill -9 of the balancer's agent; HAProxy runs on. */
  async killBalancerAgent(): Promise<void> {
    signalProcess(this.balancer.identity, 'SIGKILL')
    await this.#gone([this.balancer.identity])
  }

  /** The web process of a server, as its agent tells; undefined while there is none. */
  async webOf(server: DemoServer): Promise<ProcessIdentity | undefined> {
    const status = await server.agent.status()
    const pid = status.services.find(service => service.name === 'web')?.pid
    return pid === undefined ? undefined : identify(pid)
  }

  /** Ids of all POSTs that any server has executed, a line each time. */
  executed(): string[] {
    const { directory } = this.#places
    const files = readdirSync(directory).filter(name => name.endsWith('.ledger'))
    return files.flatMap(name => readFileSync(join(directory, name), 'utf8').split('\n'))
  }

  /** The last lines that an agent has logged, for when something did not work. */
  logOf(name: string, lines = 15): string {
    const text = readFileSync(join(this.#places.directory, `${name}.log`), 'utf8').trimEnd()
    return text.split('\n').slice(-lines).join('\n')
  }

  #forget(server: DemoServer): void {
    this.servers.splice(this.servers.indexOf(server), 1)
  }

  async #gone(identities: readonly ProcessIdentity[]): Promise<void> {
    while (identities.some(identity => isAlive(identity) || hasThreads(identity.pid))) await sleep(this.#clock, 2)
    await sleep(this.#clock, NEWS_MS)
  }

  async #nextAddress(): Promise<{ name: string; ip: string; port: number; gossip: number; rpc: number }> {
    const { ports, manyLoopbacks } = this.#places
    for (; this.#next < ADDRESS_LAST; this.#next++) {
      const n = this.#next
      const ip = manyLoopbacks ? `127.0.0.${n + 1}` : BALANCER_IP
      const step = manyLoopbacks ? 0 : n
      const [port, gossip, rpc] = [ports.web + step, ports.gossip + step, ports.rpc + step]
      if (!((await canListen(ip, port)) && (await canListen(ip, gossip)) && (await canListen(ip, rpc)))) continue
      this.#next++
      return { name: `web-${n}`, ip, port, gossip, rpc }
    }
    throw new Error('this machine has no free loopback address left')
  }

  /** Starts a real Serf agent for it, where that is the engine. */
  #engine(name: string, at: { ip: string; gossip: number; rpc: number }, join: readonly string[]): DemoEngine {
    const bind = `${at.ip}:${at.gossip}`
    if (this.#places.engine === 'muster') return { cluster: { bind, join, rpc: false }, gossiper: undefined }
    const rpc = `${at.ip}:${at.rpc}`
    const joined = join.flatMap(address => [`-retry-join=${address}`, '-retry-interval=1s'])
    const argv = ['agent', `-node=${name}`, `-bind=${bind}`, `-rpc-addr=${rpc}`, ...joined]
    const gossiper = startProcess(`${name}-serf`, ['serf', ...argv], this.#places)
    return { cluster: { engine: 'serf', rpc }, gossiper }
  }

  #startAgent(name: string, config: object): RunningAgent {
    const { directory, program } = this.#places
    const own = join(directory, name)
    mkdirSync(own, { recursive: true })
    const file = join(own, 'muster.yaml')
    const socket = join(own, 'api')
    const places = { state_dir: join(own, 'state'), run_dir: own, api: { socket } }
    writeFileSync(file, JSON.stringify({ ...config, ...places }, undefined, 2)) // JSON is YAML
    const started = startProcess(name, [process.execPath, program, 'agent', '--config-file', file], this.#places)
    return { ...started, status: () => apiRequest(socket, 'GET /v1/status') }
  }
}

/** The first thread is a zombie while others still hold the process's sockets open. */
function hasThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1
  } catch {
    return false // reaped: all of it has ended
  }
}
