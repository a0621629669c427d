/**
 * A whole tier on one machine for tests: agents of both makes, HAProxy, web servers. Its hosts are loopback addresses, or
 * network namespaces with cables between them (`hosts.ts`); all of it ends with the test (`ground.ts`).
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type AgentStatus, apiRequest, type ServerReport } from '../src/api/index.ts'
import { systemClock, systemRandom } from '../src/base/index.ts'
import { type LedgerStats, type Load, startLoad } from '../src/prove/index.ts'
import { classicTemplate } from '../src/testing/index.ts'
import { type Ground, Loopback } from './ground.ts'
import { eventually, Part, part, type RingAgent } from './parts.ts'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '..')
export const WEBAPP = join(ROOT, 'dist/webapp.js')
/** Leaves its pid, as the namespace numbers it, and becomes the command. */
const WITH_PID = 'echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"'

/** An agent whose configuration is a file, as `muster agent --config-file` reads it. */
export interface TierAgent extends RingAgent {
  readonly directory: string
  /** @throws while the agent cannot be reached */
  status(): Promise<AgentStatus>
}

export class Tier implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'tier-'))
  readonly #ground: Ground
  readonly #parts: Part[] = []

  private constructor(ground: Ground) {
    this.#ground = ground
  }

  /**
   * @param ground the first three numbers of its addresses on loopback, of no other test: `127.0.41`; or hosts, which end
   *   with the tier
   */
  static async open(ground: string | Ground): Promise<Tier> {
    return new Tier(typeof ground === 'string' ? await Loopback.open(ground) : ground)
  }

  ip(host: number): string {
    return this.#ground.ip(host)
  }

  gossip(host: number): string {
    return `${this.ip(host)}:7946`
  }

  get site(): string {
    return `http://${this.#ground.siteIp}:8080/`
  }

  /** Any program on a host; `name` is where its pid is remembered. */
  run(name: string, command: readonly string[], env: Record<string, string> = {}, host = 1): Part {
    rmSync(this.#pidFile(name), { force: true })
    const started = new Part([...this.#ground.enter(host), 'sh', '-c', WITH_PID, this.#pidFile(name), ...command], env)
    this.#parts.push(started)
    return started
  }

  /** Sends a signal to what `run` has started, or to any pid of the namespace. */
  async signal(target: string | number, signal: string): Promise<void> {
    const pid = typeof target === 'number' ? target : Number(readFileSync(this.#pidFile(target), 'utf8'))
    const [command, ...argv] = this.#ground.enter(1)
    await run(command as string, [...argv, 'kill', '-s', signal, String(pid)])
  }

  /** The sample web application on port 3000 of a host, without an agent. */
  web(name: string, host: number): Part {
    return this.run(`${name}-web`, [process.execPath, WEBAPP], this.#webEnv(name, host), host)
  }

  /** An unmodified `serf agent`. */
  async serf(
    name: string,
    host: number,
    flags: readonly string[],
    env: Record<string, string> = {},
  ): Promise<RingAgent> {
    const rpc = `${this.ip(host)}:7373`
    const argv = ['agent', `-node=${name}`, `-bind=${this.gossip(host)}`, `-rpc-addr=${rpc}`, ...flags]
    const agent = { kind: 'serf' as const, name, rpc, address: this.gossip(host) }
    const started = this.run(name, [part('serf'), ...argv], env, host)
    await eventually(
      () => started.output,
      output => output.includes('Serf agent running!'),
    )
    return { ...agent, part: started }
  }

  /** Flags for `serf`: the quick profile gives host 1 a second to answer, and with `-join` a late answer ends the agent. */
  joinQuickly(): string[] {
    return ['-profile=local', `-retry-join=${this.gossip(1)}`, '-retry-interval=1s']
  }

  /** `muster agent` on a host. Its directories are kept from one start to the next. */
  muster(name: string, host: number, config: MusterConfig, env: Record<string, string> = {}): TierAgent {
    const directory = join(this.directory, name)
    mkdirSync(directory, { recursive: true })
    const rpc = `${this.ip(host)}:7373`
    const socket = join(directory, 'a.sock')
    const file = join(directory, 'muster.yaml')
    const whole = {
      ...config,
      node: { name, ...config.node },
      cluster: { bind: this.gossip(host), rpc, ...config.cluster },
      ...{ state_dir: join(directory, 's'), run_dir: join(directory, 'r'), api: { socket } },
    }
    writeFileSync(file, JSON.stringify(whole, undefined, 2)) // JSON is YAML
    const command = [process.execPath, join(ROOT, 'bin/muster'), 'agent', '--config-file', file]
    const agent = { kind: 'muster' as const, name, rpc, address: this.gossip(host), directory }
    return { ...agent, part: this.run(name, command, env, host), status: () => apiRequest(socket, 'GET /v1/status') }
  }

  /** The balancer, on host 1: the site on port 8080, pool `web`. */
  balancer(cluster: object = {}, more: MusterConfig = {}): TierAgent {
    const [site, stats] = [`${this.#ground.siteIp}:8080`, `${this.ip(1)}:1936`]
    return this.muster('lb', 1, {
      node: { tags: { role: 'balancer' } },
      cluster,
      balancer: { stats, frontends: { http: { bind: site, pool: 'web' } }, pools: { web: { check: { http: '/' } } } },
      ...more,
    })
  }

  /** A server whose agent runs the sample application, joined to host 1. */
  backend(name: string, host: number, more: MusterConfig & { restart?: object } = {}): TierAgent {
    const { restart = {}, ...config } = more
    const cluster = { join: [this.gossip(1)], ...config.cluster }
    return this.muster(name, host, { ...config, cluster, services: this.services(name, host, restart) })
  }

  /** The sample application as an agent's service in pool `web`. */
  services(name: string, host: number, restart: object = {}): object {
    const command = [process.execPath, WEBAPP]
    const env = this.#webEnv(name, host)
    return { web: { command, env, pool: 'web', port: 3000, ready: { http: '/' }, restart } }
  }

  /** The ids of POSTs that any sample application here has executed, as often as it did. */
  executed(): string[] {
    return readdirSync(this.directory)
      .filter(name => name.endsWith('.ledger'))
      .flatMap(name => linesOf(join(this.directory, name)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parts.map(one => one.end('SIGKILL'))) // also those that stopped with their child
    await this.#ground[Symbol.asyncDispose]()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #pidFile(name: string): string {
    return join(this.directory, `${encodeURIComponent(name)}.pid`)
  }

  #webEnv(name: string, host: number): Record<string, string> {
    const ip = this.ip(host)
    const ledger = join(this.directory, `${name}.ledger`)
    return { PORT: '3000', HOST: ip, SERVER_IP: ip, SERVER_NAME: name, SERVER_TAG: 'test', SERVER_LEDGER: ledger }
  }
}

export interface MusterConfig {
  readonly node?: object
  readonly cluster?: object
  readonly balancer?: object
  readonly services?: object
  readonly event_handlers?: readonly string[]
}

/** The servers of pool `web`, as the balancer tells. */
export async function poolOf(balancer: TierAgent): Promise<readonly ServerReport[]> {
  const { balancer: report } = await balancer.status()
  return report?.pools.find(pool => pool.name === 'web')?.servers ?? []
}

/** The names of those among them that take requests. */
export async function readyIn(balancer: TierAgent): Promise<string[]> {
  const servers = await poolOf(balancer)
  return servers
    .filter(server => server.state === 'ready' || server.state === 'up')
    .map(server => server.name)
    .sort()
}

/** Waits until exactly these servers take requests. @param names sorted */
export async function untilReady(balancer: TierAgent, names: readonly string[]): Promise<void> {
  await eventually(
    () => readyIn(balancer),
    ready => ready.join() === names.join(),
    40_000,
  )
}

/**
 * 50 requests a second at the site, GETs and POSTs.
 * @param timeoutMs patience of a user; what waits longer counts as lost
 */
export function loadOn(tier: Tier, timeoutMs = 15_000): Load {
  const config = { url: tier.site, ratePerSecond: 50, serverHeader: 'x-backend-name', echo: true, timeoutMs }
  return startLoad(config, { clock: systemClock, random: systemRandom })
}

/** Ends the load and holds the servers' own ledgers against it. */
export async function verdictOn(tier: Tier, load: Load): Promise<LedgerStats> {
  await load.stop()
  load.reconcile(tier.executed())
  return load.stats()
}

/** One GET on a connection of its own. @returns who answered; the status if it was not 200 */
export async function ask(url: string): Promise<string> {
  const agent = new Agent({ keepAlive: false })
  return await new Promise((done, fail) => {
    const asked = request(url, { agent, timeout: 15_000 }, answer => {
      answer.resume()
      answer.once('end', () => {
        const name = answer.headers['x-backend-name']
        done(answer.statusCode === 200 && typeof name === 'string' ? name : `status ${answer.statusCode}`)
      })
    })
    asked.once('timeout', () => asked.destroy(new Error('no answer within 15 s')))
    asked.once('error', fail)
    asked.end()
  })
}

/** Who answers several requests in a row, each once, sorted. */
export async function askMany(url: string, times = 12): Promise<string[]> {
  const names = new Set<string>()
  for (let i = 0; i < times; i++) names.add(await ask(url))
  return [...names].sort()
}

/** A file's lines; none while it does not exist. */
export function linesOf(path: string): string[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8').split('\n').filter(Boolean)
}

/** A user's template in the classic form, on port 8080 of host 1. @param more a line of the backend's */
export function siteTemplate(tier: Tier, more = ''): string {
  const servers = '{{#each addresses}}  server {{host}} {{ip}}:3000 check\n{{/each}}\n'
  return classicTemplate({ bind: `${tier.ip(1)}:8080`, backends: `backend web\n  ${more}\n${servers}` })
}
