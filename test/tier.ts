/**
 * A whole tier on one machine for tests: agents of both makes, HAProxy, web servers. All of it lives in one process
 * namespace, so that nothing outlives the test, not what an agent leaves running on purpose either.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type AgentStatus, apiRequest, type ServerReport } from '../src/api/index.ts'
import { eventually, Part, part, type RingAgent } from './parts.ts'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '..')
export const WEBAPP = join(ROOT, 'dist/webapp.js')
/** The first process: reaps orphans, and ends, with all others, when its standard input does. */
const INIT = 'exec 3<&0; cat <&3 >/dev/null & echo up; wait $!'
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
  readonly #net: string
  readonly #init: ChildProcess
  readonly #enter: readonly string[]
  readonly #parts: Part[] = []

  private constructor(net: string) {
    this.#net = net
    const isRoot = process.getuid?.() === 0
    const flags = ['-pf', '--kill-child', '--mount-proc', ...(isRoot ? [] : ['-Ur'])]
    this.#init = spawn(part('unshare'), [...flags, 'sh', '-c', INIT], { stdio: ['pipe', 'pipe', 'inherit'] })
    const spaces = `/proc/${this.#init.pid}/ns`
    const user = isRoot ? [] : [`--user=${spaces}/user`, '--preserve-credentials']
    this.#enter = [part('nsenter'), ...user, `--pid=${spaces}/pid_for_children`, `--mount=${spaces}/mnt`, '--']
  }

  /** @param net the first three numbers of its addresses, of no other test: `127.0.41` */
  static async open(net: string): Promise<Tier> {
    const tier = new Tier(net)
    if (tier.#init.stdout !== null) await once(tier.#init.stdout, 'data')
    return tier
  }

  ip(host: number): string {
    return `${this.#net}.${host}`
  }

  gossip(host: number): string {
    return `${this.ip(host)}:7946`
  }

  get site(): string {
    return `http://${this.ip(1)}:8080/`
  }

  /** Any program; `name` is where its pid is remembered. */
  run(name: string, command: readonly string[], env: Record<string, string> = {}): Part {
    rmSync(this.#pidFile(name), { force: true })
    const started = new Part([...this.#enter, 'sh', '-c', WITH_PID, this.#pidFile(name), ...command], env)
    this.#parts.push(started)
    return started
  }

  /** Sends a signal to what `run` has started, or to any pid of the namespace. */
  async signal(target: string | number, signal: string): Promise<void> {
    const pid = typeof target === 'number' ? target : Number(readFileSync(this.#pidFile(target), 'utf8'))
    const [command, ...argv] = this.#enter
    await run(command as string, [...argv, 'kill', '-s', signal, String(pid)])
  }

  /** The sample web application on port 3000 of a host, without an agent. */
  web(name: string, host: number): Part {
    return this.run(`${name}-web`, [process.execPath, WEBAPP], this.#webEnv(name, host))
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
    const started = this.run(name, [part('serf'), ...argv], env)
    await eventually(
      () => started.output,
      output => output.includes('Serf agent running!'),
    )
    return { ...agent, part: started }
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
    return { ...agent, part: this.run(name, command, env), status: () => apiRequest(socket, 'GET /v1/status') }
  }

  /** The balancer, on host 1: the site on port 8080, pool `web`. */
  balancer(cluster: object = {}): TierAgent {
    const [site, stats] = [`${this.ip(1)}:8080`, `${this.ip(1)}:1936`]
    return this.muster('lb', 1, {
      node: { tags: { role: 'balancer' } },
      cluster,
      balancer: { stats, frontends: { http: { bind: site, pool: 'web' } }, pools: { web: { check: { http: '/' } } } },
    })
  }

  /** A server whose agent runs the sample application, joined to host 1. */
  backend(name: string, host: number, more: MusterConfig & { restart?: object } = {}): TierAgent {
    const { restart = {}, ...config } = more
    const command = [process.execPath, WEBAPP]
    const service = { command, env: this.#webEnv(name, host), pool: 'web', port: 3000, ready: { http: '/' }, restart }
    const cluster = { join: [this.gossip(1)], ...config.cluster }
    return this.muster(name, host, { ...config, cluster, services: { web: service } })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parts.map(one => one.end('SIGKILL'))) // also those that stopped with their child
    const ended = once(this.#init, 'exit')
    this.#init.stdin?.end()
    await ended
    rmSync(this.directory, { recursive: true, force: true })
  }

  #pidFile(name: string): string {
    return join(this.directory, `${name}.pid`)
  }

  #webEnv(name: string, host: number): Record<string, string> {
    const ip = this.ip(host)
    return { PORT: '3000', HOST: ip, SERVER_IP: ip, SERVER_NAME: name, SERVER_TAG: 'test' }
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
