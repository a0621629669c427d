/**
 * Sticky users as the sample application sees them: a session lives in one server's memory, so whoever is ever sent to another
 * server, for one single request, starts again at 1.
 */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { apiRequest, type HistoryPage } from '../src/api/index.ts'
import { Scope } from '../src/base/index.ts'
import { connectRpc, type RpcClient } from '../src/serf/index.ts'
import { eventually } from './parts.ts'
import { Tier, type TierAgent, untilReady } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const USERS = 200
/** Of all users. */
const PER_SECOND = 300
const ROUNDS = 10
const CHANGES_PER_ROUND = 10
/** Where users are; web-13 is known by its tags alone. */
const KEPT = ['web-11', 'web-12', 'web-13']
const TICK_MS = 10
/** Answers after each change before the next one. */
const ANSWERS_PER_CHANGE = 25

interface User {
  readonly name: string
  readonly cookies: Map<string, string>
  readonly agent: Agent
  views: number
  server: string | undefined
  isAsking: boolean
}

/** Users who go on asking, each with its own cookies, and what was wrong with an answer. */
class Users {
  readonly wrong: string[] = []
  readonly all: readonly User[]
  answered = 0
  readonly #host: string
  #isOver = false
  readonly #running: Promise<void>
  readonly #asked = new Set<Promise<void>>()

  constructor(host: string) {
    this.#host = host
    const [kept, fresh] = [new Agent({ keepAlive: true, maxSockets: 32 }), new Agent({ keepAlive: false })]
    this.all = Array.from({ length: USERS }, (_, at) => ({
      ...{ name: `user-${at}`, cookies: new Map(), agent: at % 2 === 0 ? kept : fresh },
      ...{ views: 0, server: undefined, isAsking: false },
    }))
    this.#running = this.#run().finally(() => kept.destroy())
  }

  /** Waits until everybody has asked so often, or somebody was answered wrongly. */
  async untilAsked(times: number): Promise<void> {
    await eventually(
      () => Math.min(...this.all.map(user => user.views)),
      fewest => fewest >= times || this.wrong.length > 0,
    )
  }

  /** Waits for so many more answers. */
  async untilAnswered(more: number): Promise<void> {
    const wanted = this.answered + more
    await eventually(
      () => this.answered,
      answered => answered >= wanted,
      20_000,
      10,
    )
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #run(): Promise<void> {
    let [turn, sent] = [0, 0]
    const startedAtMs = performance.now()
    while (!this.#isOver) {
      const due = ((performance.now() - startedAtMs) * PER_SECOND) / 1_000
      for (; sent < due; sent++) this.#ask(this.all[turn++ % USERS] as User)
      await pause(TICK_MS)
    }
    await Promise.all(this.#asked)
  }

  /** Every third request is a POST: it goes by way of another backend, with the same cookie. */
  #ask(user: User): void {
    if (user.isAsking) return // as people do: the next click comes after the answer
    user.isAsking = true
    const method = user.views % 3 === 2 ? 'POST' : 'GET'
    const asking = this.#answer(user, method)
      .then(problem => void (problem !== undefined && this.wrong.push(`${user.name}: ${method} ${problem}`)))
      .finally(() => {
        this.answered++
        user.isAsking = false
        this.#asked.delete(asking)
      })
    this.#asked.add(asking)
  }

  /** @returns what is wrong with it */
  #answer(user: User, method: string): Promise<string | undefined> {
    const cookie = [...user.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = cookie === '' ? {} : { cookie }
    const path = `/?id=${user.name}-${user.views}`
    return new Promise(done => {
      const asked = request(
        { host: this.#host, port: 8080, method, path, agent: user.agent, headers, timeout: 15_000 },
        answer => {
          let text = ''
          answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          answer.once('error', failure => done(failure.message))
          answer.once('end', () => done(take(user, answer, text)))
        },
      )
      asked.once('timeout', () => asked.destroy(new Error('no answer within 15 s')))
      asked.once('error', failure => done(failure.message))
      asked.end()
    })
  }
}

function take(user: User, answer: IncomingMessage, text: string): string | undefined {
  if (answer.statusCode !== 200) return `answered ${answer.statusCode}: ${text.slice(0, 200)}`
  for (const line of answer.headers['set-cookie'] ?? []) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (name !== undefined && value !== undefined) user.cookies.set(name, value)
  }
  const { sessionViews, host } = JSON.parse(text) as { sessionViews: number; host: string }
  const [wanted, before] = [user.views + 1, user.server]
  user.views = sessionViews
  user.server = host
  return sessionViews === wanted ? undefined : `${sessionViews} of ${host} after ${wanted - 1} of ${String(before)}`
}

/** What is done to the pool, one change after the other, each seen in HAProxy before the next. */
class Changes {
  made = 0
  readonly #lb: TierAgent
  readonly #clients: ReadonlyMap<string, RpcClient>
  readonly #users: Users

  constructor(lb: TierAgent, clients: ReadonlyMap<string, RpcClient>, users: Users) {
    this.#lb = lb
    this.#clients = clients
    this.#users = users
  }

  get socket(): string {
    return join(this.#lb.directory, 'a.sock')
  }

  async joins(name: string): Promise<void> {
    await this.#until(name, async () => await this.#clients.get(name)?.tags({ role: 'backend', weight: '1' }))
  }

  async leaves(name: string): Promise<void> {
    await this.#until(name, async () => await this.#clients.get(name)?.tags({}, ['role']))
  }

  async weighs(name: string, weight: number): Promise<void> {
    await this.#until(name, async () => await this.#clients.get(name)?.tags({ weight: String(weight) }))
  }

  async drain(server: string): Promise<void> {
    await this.#until(server, () => apiRequest(this.socket, 'POST /v1/drain', { server, reason: 'a look at its fans' }))
  }

  async undo(server: string): Promise<void> {
    await this.#until(server, () => apiRequest(this.socket, 'DELETE /v1/drain', { server }))
  }

  async #until(server: string, change: () => Promise<unknown>): Promise<void> {
    const after = String(await this.#last())
    await change()
    await eventually(
      () => this.#receipts({ after, what: server }),
      ({ records }) => records.length > 0,
      20_000,
      20,
    )
    await this.#users.untilAnswered(ANSWERS_PER_CHANGE)
    this.made++
  }

  async #last(): Promise<number> {
    return (await this.#receipts({ limit: '1' })).records.at(-1)?.index ?? 0
  }

  async #receipts(query: Readonly<Record<string, string>>): Promise<HistoryPage> {
    return (await apiRequest(this.socket, 'GET /v1/history', { kind: 'receipt', ...query })) as HistoryPage
  }
}

/** Ten changes; users stay on servers that are drained or weigh otherwise, others come and go beside them. */
async function round(changes: Changes, at: number, midway: () => Promise<void>): Promise<void> {
  const [one, other] = [KEPT[at % 3] as string, KEPT[at % 2] as string]
  await changes.joins('web-14')
  await changes.weighs('web-14', 2 + at)
  await changes.weighs('web-13', 2 + at)
  await changes.drain(one)
  await changes.undo(one)
  await changes.weighs('web-14', 0)
  await changes.leaves('web-14')
  await changes.drain(other)
  await midway()
  await changes.weighs('web-13', 20 + at)
  await changes.undo(other)
}

async function standUp(
  tier: Tier,
  scope: Scope,
  sticky: object,
): Promise<{ lb: TierAgent; clients: Map<string, RpcClient> }> {
  const cluster = { profile: 'local' }
  const pools = { web: { check: { http: '/' }, timeouts: { server: '30s' }, ...sticky } }
  const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } }
  const lb = tier.balancer(cluster, { balancer: { stats: `${tier.ip(1)}:1936`, frontends, pools } })
  for (const host of [11, 12]) tier.backend(`web-${host}`, host, { cluster })
  const tagged = [13, 14].map(host => {
    tier.web(`web-${host}`, host)
    const tags = host === 13 ? { role: 'backend' } : {}
    return tier.muster(`web-${host}`, host, { node: { tags }, cluster: { ...cluster, join: [tier.gossip(1)] } })
  })
  await untilReady(lb, KEPT)
  const clients = new Map<string, RpcClient>()
  for (const { name, rpc } of tagged) {
    const [host = '', port] = rpc.split(':')
    const client = await eventually(
      () => connectRpc({ ip: host, port: Number(port) }, { timeoutMs: 5_000 }),
      connected => connected !== undefined,
    )
    scope.defer(() => client[Symbol.dispose]())
    clients.set(name, client)
  }
  return { lb, clients }
}

test('`sessionViews` of 200 sticky users rises by exactly one per request through 100 pool changes and a reload', async () => {
  await using tier = await Tier.open('127.0.190')
  await using scope = new Scope()
  const { lb, clients } = await standUp(tier, scope, { sticky: 'cookie' })
  const reloads = (await lb.status()).balancer?.haproxy.reloads ?? 0
  const users = new Users(tier.ip(1))
  scope.defer(() => users.end())
  const changes = new Changes(lb, clients, users)
  const reload = async () => {
    const yaml = join(lb.directory, 'muster.yaml')
    writeFileSync(yaml, readFileSync(yaml, 'utf8').replace('"30s"', '"12s"'))
    const { stdout } = await promisify(execFile)(process.execPath, [MUSTER, 'apply', '--socket', changes.socket])
    expect(stdout).toContain('applied by a hitless reload')
  }
  await users.untilAsked(2)
  for (let at = 0; at < ROUNDS; at++) await round(changes, at, at === ROUNDS / 2 ? reload : () => Promise.resolve())
  await users.untilAsked(Math.min(...users.all.map(user => user.views)) + 2)
  await users.end()

  expect(users.wrong.slice(0, 20)).toEqual([])
  expect(changes.made).toBe(ROUNDS * CHANGES_PER_ROUND)
  expect((await lb.status()).balancer?.haproxy.reloads).toBe(reloads + 1)
  expect(new Set(users.all.map(user => user.server))).toEqual(new Set(KEPT))
  expect(users.answered).toBeGreaterThanOrEqual(ROUNDS * CHANGES_PER_ROUND * ANSWERS_PER_CHANGE)
}, 120_000)
