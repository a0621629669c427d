import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AgentStatus, apiRequest } from '../../../api/index.ts'
import { type Clock, identify, type ProcessIdentity, signalProcess } from '../../../base/index.ts'
import { classicTemplate } from '../classic-template.ts'
import { siteTemplate } from '../site-template.ts'
import { ask } from './ask.ts'
import { canListen, type DemoPorts } from './ports.ts'
import { type DemoProcess, type ProcessPlaces, startProcess, untilGone } from './processes.ts'

/** Where the demo's files and programs are. */
export interface TierPlaces extends ProcessPlaces {
  /** `bin/muster`. */
  readonly program: string
  /** `dist/webapp.js`. */
  readonly webapp: string
  readonly ports: DemoPorts
  readonly engine: 'muster' | 'serf'
  /** Web servers end on SIGTERM in the middle of whatever they do. */
  readonly diesAtOnce: boolean
  /** Whether this machine has more than one loopback address. */
  readonly manyLoopbacks: boolean
}

/** HAProxy's template: built in, as people write it by hand, or a file that the tier owns and changes (`writeTemplate`). */
export type TierTemplate = 'slots' | 'named' | 'classic' | 'file'

export interface DemoServer {
  readonly name: string
  readonly ip: string
  readonly port: number
  agent: RunningAgent
  /** A web server without a supervisor, known by its tags alone. */
  readonly plain: DemoProcess | undefined
  /** The real Serf agent beside it, where that is the engine. */
  readonly gossiper: DemoProcess | undefined
}

/** An agent in a process of its own. */
export interface RunningAgent extends DemoProcess {
  status(): Promise<AgentStatus>
  /** Of its API. */
  readonly socket: string
  /** The agent ends, what it has started runs on. Resolves when it has ended. */
  handover(): Promise<void>
}

/** How an agent of the demo knows the ring. */
interface DemoEngine {
  /** Of its configuration. */
  readonly cluster: object
  readonly gossiper: DemoProcess | undefined
}

const BALANCER_IP = '127.0.0.1'
const ADDRESS_LAST = 250
/** Whoever crashed keeps its slot until it is forgotten: for an hour of crashes, without a reload that makes more of them. */
const SLOTS = 160

/** The tier on one machine: a balancer's agent, and servers with an agent each, all children of the demo. */
export class Tier {
  readonly servers: DemoServer[] = []
  readonly #places: TierPlaces
  readonly #clock: Clock
  #balancer: RunningAgent | undefined
  #balancerEngine: DemoEngine | undefined
  #next = 1
  #template: TierTemplate = 'slots'
  #queueMs = 5000

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
  startBalancer(template: TierTemplate = this.#template): RunningAgent {
    this.#template = template
    const { ports } = this.#places
    this.#balancerEngine ??= this.#engine('balancer', { ip: BALANCER_IP, gossip: ports.gossip, rpc: ports.rpc }, [])
    const site = `${BALANCER_IP}:${ports.site}`
    const stats = `${BALANCER_IP}:${ports.stats}`
    if (template === 'classic') writeFileSync(this.#templatePath, classicTemplate({ site, stats, webPort: ports.web }))
    else if (template === 'file' && !existsSync(this.#templatePath)) this.writeTemplate(0)
    this.#balancer = this.#startAgent('balancer', this.#balancerConfig(this.#balancerEngine.cluster, { site, stats }))
    return this.#balancer
  }

  /** Changes a setting of the pool that HAProxy takes only by a reload: the agent's file, and SIGHUP. */
  changeQueueTimeout(ms: number): void {
    this.#queueMs = ms
    const file = this.#configOf('balancer')
    const config = JSON.parse(readFileSync(file, 'utf8')) as { balancer: object }
    config.balancer = { ...config.balancer, pools: this.#pools() }
    writeConfig(file, config)
    signalProcess(this.balancer.identity, 'SIGHUP')
  }

  /** The file that HAProxy runs from. */
  haproxyFile(): string {
    return readFileSync(join(this.#places.directory, 'balancer', 'state', 'haproxy.cfg'), 'utf8')
  }

  /** Starts one more server with its agent; a taken address is skipped. */
  async addServer(): Promise<DemoServer> {
    const { port, ip, name, ...at } = await this.#nextAddress()
    const { cluster, gossiper } = this.#engine(name, { ip, ...at }, [`${BALANCER_IP}:${this.#places.ports.gossip}`])
    const web = { command: [process.execPath, this.#places.webapp], env: this.#webEnv(name, ip, port) }
    const services = { web: { ...web, pool: 'web', port, ip, ready: { http: '/' } } }
    const agent = this.#startAgent(name, { node: { name }, cluster, services })
    const server = { name, ip, port, agent, plain: undefined, gossiper }
    this.servers.push(server)
    return server
  }

  /** One more server whose agent supervises nothing: a member with tags, as the Serf agents that people have. */
  async addPlainServer(): Promise<DemoServer> {
    const { port, ip, name, ...at } = await this.#nextAddress()
    const { cluster, gossiper } = this.#engine(name, { ip, ...at }, [`${BALANCER_IP}:${this.#places.ports.gossip}`])
    const plain = startProcess(
      `${name}-web`,
      [process.execPath, this.#places.webapp],
      this.#places,
      this.#webEnv(name, ip, port),
    )
    const agent = this.#startAgent(name, { node: { name, tags: plainTags(port, 1) }, cluster })
    const server = { name, ip, port, agent, plain, gossiper }
    this.servers.push(server)
    return server
  }

  /** Changes the tag `weight` of a plain server: its file, and SIGHUP. */
  changeWeight(server: DemoServer, weight: number): void {
    const file = this.#configOf(server.name)
    const config = JSON.parse(readFileSync(file, 'utf8')) as { node: object }
    config.node = { ...config.node, tags: plainTags(server.port, weight) }
    writeConfig(file, config)
    signalProcess(server.agent.identity, 'SIGHUP')
  }

  /** The weight that HAProxy gives a server. */
  async weightOf(server: DemoServer): Promise<number | undefined> {
    const { body } = await ask(`${this.statsUrl};csv`)
    const [head = [], ...rows] = body.split('\n').map(line => line.split(','))
    const [name, weight] = ['svname', 'weight'].map(column => head.indexOf(column))
    const inPool = (await this.balancer.status()).balancer?.pools[0]?.servers.find(({ name }) => name === server.name)
    const row = rows.find(cells => cells[name as number] === (inPool?.slot ?? server.name))
    return row === undefined ? undefined : Number(row[weight as number])
  }

  /** Changes the template file: answers name its `generation` from when it is in force. */
  writeTemplate(generation: number, flaw = ''): void {
    replaceFile(this.#templatePath, siteTemplate(generation) + flaw)
  }

  /** Puts HAProxy's program where `startBalancer` finds it; again: a new one in its place, as an upgrade does. */
  installHaproxy(from: string): void {
    const path = join(this.#places.directory, 'haproxy')
    copyFileSync(from, `${path}.new`)
    renameSync(`${path}.new`, path)
  }

  /** HAProxy's master, as the balancer's agent knows it. */
  async haproxy(): Promise<ProcessIdentity> {
    const pid = (await this.balancer.status()).balancer?.haproxy.pid
    const identity = pid === undefined ? undefined : identify(pid)
    if (identity === undefined) throw new Error('HAProxy does not run')
    return identity
  }

  /** `muster drain`: nothing new comes to it. Asked again it is the same drain. @returns whether nothing is left there */
  async drain(server: DemoServer): Promise<boolean> {
    const order = { server: server.name, user: 'prove', reason: 'muster prove' }
    return (await apiRequest(this.balancer.socket, 'POST /v1/drain', order)).done
  }

  /** `muster drain --undo` */
  async undrain(server: DemoServer): Promise<void> {
    await apiRequest(this.balancer.socket, 'DELETE /v1/drain', { server: server.name, user: 'prove' })
  }

  /** Copies the logs and HAProxy's file to where they outlive the tier. @returns where */
  keepLogs(): string {
    const kept = mkdtempSync(join(tmpdir(), 'muster-prove-logs-'))
    const logs = readdirSync(this.#places.directory).filter(name => name.endsWith('.log'))
    for (const name of logs) copyFileSync(join(this.#places.directory, name), join(kept, name))
    writeFileSync(join(kept, 'haproxy.cfg'), this.haproxyFile())
    return kept
  }

  /** Starts a server's agent again, which has ended without its web server. */
  restartAgent(server: DemoServer): void {
    server.agent = this.#runAgent(server.name)
  }

  /** A server that had stopped is back, as it was. */
  returnServer(server: DemoServer): void {
    this.restartAgent(server)
    this.servers.push(server)
  }

  /** kill -9 of a server's agent; its web server runs on. */
  async killAgent(server: DemoServer): Promise<void> {
    signalProcess(server.agent.identity, 'SIGKILL')
    await untilGone(this.#clock, [server.agent.identity])
  }

  /** Stops a server and its agent in the middle of whatever they do. @returns lets them go on */
  async freeze(server: DemoServer): Promise<() => void> {
    const web = await this.webOf(server)
    const all = [web, server.agent.identity].filter(identity => identity !== undefined)
    for (const identity of all) signalProcess(identity, 'SIGSTOP')
    return () => {
      for (const identity of all) signalProcess(identity, 'SIGCONT')
    }
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
    await untilGone(this.#clock, [web])
    return web
  }

  /** kill -9 of a server's agent and web process together, as if the host had vanished. Resolves when both are gone. */
  async killServer(server: DemoServer): Promise<void> {
    const web = await this.webOf(server)
    this.#forget(server)
    const all = [server.agent.identity, server.gossiper?.identity, web].filter(identity => identity !== undefined)
    for (const identity of all) signalProcess(identity, 'SIGKILL')
    await untilGone(this.#clock, all)
  }

  /** kill -9 of the balancer's agent; HAProxy runs on. */
  async killBalancerAgent(): Promise<void> {
    signalProcess(this.balancer.identity, 'SIGKILL')
    await untilGone(this.#clock, [this.balancer.identity])
  }

  /** The web process of a server, as its agent tells; undefined while there is none. */
  async webOf(server: DemoServer): Promise<ProcessIdentity | undefined> {
    if (server.plain !== undefined) return server.plain.identity
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

  #balancerConfig(cluster: object, { site, stats }: { site: string; stats: string }): object {
    const haproxy = join(this.#places.directory, 'haproxy')
    return {
      node: { name: 'balancer', tags: { role: 'balancer' } },
      cluster,
      balancer: {
        template: ['slots', 'named'].includes(this.#template) ? this.#template : this.#templatePath,
        ...(existsSync(haproxy) ? { haproxy } : {}),
        stats,
        frontends: { http: { bind: site, pool: 'web' } },
        pools: this.#pools(),
      },
    }
  }

  #pools(): object {
    return { web: { slots: SLOTS, check: { http: '/' }, timeouts: { queue: `${this.#queueMs}ms` } } }
  }

  get #templatePath(): string {
    return join(this.#places.directory, 'site.hbs')
  }

  #webEnv(name: string, ip: string, port: number): Record<string, string> {
    const ledger = join(this.#places.directory, `${name}.ledger`)
    const env = { HOST: ip, SERVER_IP: ip, SERVER_NAME: name, SERVER_TAG: 'demo', SERVER_LEDGER: ledger }
    return { PORT: String(port), ...env, ...(this.#places.diesAtOnce ? { SERVER_DIES_AT_ONCE: '1' } : {}) }
  }

  #forget(server: DemoServer): void {
    const index = this.servers.indexOf(server)
    if (index >= 0) this.servers.splice(index, 1)
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
    const own = join(this.#places.directory, name)
    mkdirSync(own, { recursive: true })
    const places = { state_dir: join(own, 'state'), run_dir: own, api: { socket: join(own, 'api') } }
    writeConfig(this.#configOf(name), { ...config, ...places })
    return this.#runAgent(name)
  }

  /** Runs an agent with the configuration that it has. */
  #runAgent(name: string): RunningAgent {
    const { program, directory } = this.#places
    const command = [process.execPath, program, 'agent', '--config-file', this.#configOf(name)]
    const started = startProcess(name, command, this.#places)
    const socket = join(directory, name, 'api')
    return {
      ...started,
      socket,
      status: () => apiRequest(socket, 'GET /v1/status'),
      handover: async () => {
        await apiRequest(socket, 'POST /v1/handover')
        await started.ended
      },
    }
  }

  #configOf(name: string): string {
    return join(this.#places.directory, name, 'muster.yaml')
  }
}

/** The tags of a member in the plain form. */
function plainTags(port: number, weight: number): Record<string, string> {
  return { role: 'backend', port: String(port), weight: String(weight) }
}

function writeConfig(file: string, config: object): void {
  replaceFile(file, JSON.stringify(config, undefined, 2)) // JSON is YAML
}

/** Whoever watches the file never sees half of it. */
function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
