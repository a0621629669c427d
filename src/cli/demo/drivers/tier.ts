import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AgentStatus, apiRequest } from '../../../api/index.ts'
import { type Clock, identify, isAlive, type ProcessIdentity, signalProcess, sleep } from '../../../base/index.ts'
import { classicTemplate } from '../classic-template.ts'
import type { DemoOptions } from '../options.ts'
import { MARK } from './leftovers.ts'
import { canListen, type DemoPorts } from './ports.ts'

/** Where the demo's files and programs are. */
export interface TierPlaces {
  /** Its temporary directory. */
  readonly directory: string
  /** `bin/muster`. */
  readonly program: string
  /** `dist/webapp.js`. */
  readonly webapp: string
  /** Marks all processes of this demo. */
  readonly run: string
  readonly ports: DemoPorts
  /** Whether this machine has more than one loopback address. */
  readonly manyLoopbacks: boolean
}

export interface DemoServer {
  readonly name: string
  readonly ip: string
  readonly port: number
  readonly agent: RunningAgent
}

/** An agent in a process of its own. */
export interface RunningAgent {
  readonly name: string
  readonly identity: ProcessIdentity
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
  status(): Promise<AgentStatus>
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
    const site = `${BALANCER_IP}:${ports.site}`
    const stats = `${BALANCER_IP}:${ports.stats}`
    const classicPath = join(directory, 'classic.hbs')
    writeFileSync(classicPath, classicTemplate({ site, stats, webPort: ports.web }))
    this.#balancer = this.#startAgent('balancer', {
      node: { name: 'balancer', tags: { role: 'balancer' } },
      cluster: { bind: `${BALANCER_IP}:${ports.gossip}`, rpc: false },
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
    const { port, ip, gossip, name } = await this.#nextAddress()
    const env = { PORT: port, HOST: ip, SERVER_IP: ip, SERVER_NAME: name, SERVER_TAG: 'demo' }
    const agent = this.#startAgent(name, {
      node: { name },
      cluster: { bind: `${ip}:${gossip}`, join: [`${BALANCER_IP}:${this.#places.ports.gossip}`], rpc: false },
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
    const server = { name, ip, port, agent }
    this.servers.push(server)
    return server
  }

  /** SIGTERM: drain, leave, stop. Resolves when its agent has ended. */
  async stopServer(server: DemoServer): Promise<void> {
    this.#forget(server)
    signalProcess(server.agent.identity, 'SIGTERM')
    await server.agent.ended
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
    const both = web === undefined ? [server.agent.identity] : [server.agent.identity, web]
    for (const identity of both) signalProcess(identity, 'SIGKILL')
    await this.#gone(both)
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

  async #nextAddress(): Promise<{ name: string; ip: string; port: number; gossip: number }> {
    const { ports, manyLoopbacks } = this.#places
    for (; this.#next < ADDRESS_LAST; this.#next++) {
      const n = this.#next
      const ip = manyLoopbacks ? `127.0.0.${n + 1}` : BALANCER_IP
      const [port, gossip] = manyLoopbacks ? [ports.web, ports.gossip] : [ports.web + n, ports.gossip + n]
      if (!((await canListen(ip, port)) && (await canListen(ip, gossip)))) continue
      this.#next++
      return { name: `web-${n}`, ip, port, gossip }
    }
    throw new Error('this machine has no free loopback address left')
  }

  #startAgent(name: string, config: object): RunningAgent {
    const { directory, program, run } = this.#places
    const own = join(directory, name)
    mkdirSync(own, { recursive: true })
    const file = join(own, 'muster.yaml')
    const socket = join(own, 'api')
    const places = { state_dir: join(own, 'state'), run_dir: own, api: { socket } }
    writeFileSync(file, JSON.stringify({ ...config, ...places }, undefined, 2)) // JSON is YAML
    const log = openSync(join(directory, `${name}.log`), 'a', 0o600)
    const child = spawn(process.execPath, [program, 'agent', '--config-file', file], {
      detached: true, // Ctrl-C is for the demo, which ends them in its order
      stdio: ['ignore', log, log],
      env: { ...plainEnvironment(), [MARK]: run },
    })
    closeSync(log)
    const identity = child.pid === undefined ? undefined : identify(child.pid)
    if (identity === undefined) throw new Error(`the agent ${name} could not be started`)
    const ended = untilEnded(child)
    return { name, identity, ended, status: () => apiRequest(socket, 'GET /v1/status') }
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

function untilEnded(child: ChildProcess): Promise<void> {
  return new Promise(resolve => child.once('exit', () => resolve()).once('error', () => resolve()))
}

/** Ours without what would configure an agent. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(MUSTER|SERF)_/.test(name)))
}
