/** A pool of any size behind a real HAProxy, in this process: changes are handed to the balancer, receipts say when they are done. */
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Scope, silentLog, systemClock, systemRandom } from '../src/base/index.ts'
import {
  type Balancer,
  type BalancerConfig,
  type Receipt,
  type Server,
  spawnSupervise,
  startBalancer,
} from '../src/balancer/index.ts'
import { eventually } from '../test/parts.ts'

/** Servers that are added, drained and removed. */
export const MANY = 1_000
/** All servers are this one listener, on 127.100.0.1 and further. */
const PORT = 3_000
const PER_NET = 250
/** Checks are HAProxy's business; of thousands of servers they would keep the machine busy. */
const CHECK_MS = 10_000
const SETTLED_MS = 120_000

export interface PoolOptions {
  readonly template: 'slots' | 'named'
  readonly slots: number
}

export class BenchPool implements AsyncDisposable {
  readonly balancer: Balancer
  readonly config: BalancerConfig
  readonly #scope: Scope
  #waiting: ((receipt: Receipt) => void) | undefined

  private constructor(balancer: Balancer, config: BalancerConfig, scope: Scope) {
    this.balancer = balancer
    this.config = config
    this.#scope = scope
    balancer.onReceipt(receipt => this.#waiting?.(receipt))
  }

  static async open(directory: string, { template, slots }: PoolOptions): Promise<BenchPool> {
    await using scope = new Scope()
    mkdirSync(directory, { recursive: true })
    const listener = createServer(socket => socket.on('error', () => socket.destroy()).end())
    await new Promise<void>(listening => listener.listen(PORT, '0.0.0.0', listening))
    scope.defer(() => new Promise<void>(closed => listener.close(() => closed())))
    const supervise = spawnSupervise(silentLog)
    scope.defer(() => supervise.stop())
    const config = {
      ...{ template, configPath: join(directory, 'haproxy.cfg'), runDir: directory, reloadSpacingMs: 0 },
      pools: { web: { slots, check: { tcp: true, intervalMs: CHECK_MS } as const } },
      frontends: { www: { bind: '127.0.195.1:8080', pool: 'web' } },
      node: { name: 'lb', ip: '127.0.195.1' },
    }
    const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
    const balancer = scope.use(await startBalancer(config, deps))
    return new BenchPool(balancer, config, scope.move())
  }

  /** Hands the list to the balancer. @returns milliseconds until HAProxy has acknowledged what changes */
  async change(servers: readonly Server[]): Promise<{ readonly ms: number; readonly receipt: Receipt }> {
    const startedAtMs = performance.now()
    return await new Promise(done => {
      this.#waiting = receipt => {
        this.#waiting = undefined
        done({ ms: performance.now() - startedAtMs, receipt })
      }
      this.balancer.wanted(servers)
    })
  }

  /** The whole pool, up by HAProxy's checks. */
  async settle(servers: readonly Server[]): Promise<void> {
    this.balancer.wanted(servers)
    await this.balancer.settle()
    await eventually(
      () => this.balancer.status().pools[0]?.servers.filter(server => server.state === 'ready').length,
      ready => ready === servers.length,
      SETTLED_MS,
    )
    await this.balancer.settle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]()
  }
}

export function serversOf(count: number): Server[] {
  return Array.from({ length: count }, (_, at) => {
    const ip = `127.100.${Math.floor(at / PER_NET)}.${1 + (at % PER_NET)}`
    return {
      ...{ pool: 'web', name: `web-${at}`, host: `web-${at}`, ip, port: PORT, weight: 1 },
      ...{ state: 'ready', liveness: 'alive' },
    }
  })
}

/** The same list with one of them otherwise. */
export function withOne(servers: readonly Server[], at: number, change: Partial<Server>): Server[] {
  const changed = [...servers]
  changed[at] = { ...(servers[at] as Server), ...change }
  return changed
}
