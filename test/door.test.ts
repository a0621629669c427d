/** What clients see of a pool whose only server dies and comes back: nothing but a wait. */
import { randomUUID } from 'node:crypto'
import { Agent, type IncomingMessage, request } from 'node:http'
import { expect, test } from 'vitest'
import { eventually } from './parts.ts'
import { Tier, untilReady } from './tier.ts'

/** Everything that a client without retries of its own saw. */
class Clients {
  readonly #site: string
  readonly #agents: Agent[] = []
  readonly failed: string[] = []
  /** Ids of POSTs by what became of them. */
  readonly good = new Set<string>()
  /** Sent before the kill and failed: whether they were executed nobody can know. */
  readonly unknown = new Set<string>()
  readonly #loops: Promise<void>[] = []
  answered = 0
  slowestMs = 0
  killedAtMs = Number.POSITIVE_INFINITY
  #isOver = false

  constructor(site: string) {
    this.#site = site
  }

  start(count: number, method: 'GET' | 'POST', keepAlive: boolean): void {
    for (let nth = 0; nth < count; nth++) {
      const agent = new Agent({ keepAlive, maxSockets: 1 })
      this.#agents.push(agent)
      this.#loops.push(this.#loop(agent, method))
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
    for (const agent of this.#agents) agent.destroy()
  }

  async #loop(agent: Agent, method: 'GET' | 'POST'): Promise<void> {
    while (!this.#isOver) {
      const id = randomUUID()
      const sentAtMs = performance.now()
      const outcome = await ask(this.#site, method, id, agent)
      this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAtMs)
      this.answered++
      if (outcome === '200') {
        if (method === 'POST') this.good.add(id)
      } else if (method === 'POST' && sentAtMs <= this.killedAtMs) this.unknown.add(id)
      else this.failed.push(`${method} ${outcome}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}

/** @returns the status, or why there was none */
function ask(site: string, method: string, id: string, agent: Agent, body = ''): Promise<string> {
  return new Promise(resolve => {
    const headers = { 'x-request-id': id, ...(method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {}) }
    const sent = request(site, { method, agent, headers, timeout: 15_000 }, answer => {
      answer.resume()
      answer.on('end', () => resolve(String(answer.statusCode)))
      answer.on('error', error => resolve(error.message))
    })
    sent.on('timeout', () => void sent.destroy(new Error('no answer')))
    sent.on('error', error => resolve(error.message))
    sent.end(body)
  })
}

test.each(['slots', 'named'])(
  'the only server is killed and restarted 1.5 s later under 100 clients: none fails, and no POST runs twice: template %s',
  async template => {
    await using tier = await Tier.open('127.0.182')
    const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } }
    const pools = { web: { check: { http: '/' } } }
    const balancer = tier.balancer({}, { balancer: { template, stats: false, frontends, pools } })
    const backend = tier.backend('web-2', 2, { restart: { min: '1500ms', max: '1500ms' } })
    await untilReady(balancer, ['web-2'])
    const pid = (await backend.status()).services[0]?.pid as number
    const clients = new Clients(tier.site)
    clients.start(34, 'GET', true)
    clients.start(33, 'GET', false)
    clients.start(33, 'POST', true)
    await eventually(
      () => clients.answered,
      answered => answered > 500,
    )
    await tier.signal(pid, 'KILL')
    await eventually(
      () => backend.status(),
      status => status.services[0]?.pid !== pid,
      20_000,
      1,
    )
    clients.killedAtMs = performance.now() // until its sockets are closed the kernel takes connections for it
    const [before, good] = [clients.answered, clients.good.size]
    await eventually(
      () => clients.good.size,
      now => now > good + 100 && clients.answered > before + 500,
    )
    await clients.stop()
    expect(clients.failed).toEqual([])
    expect(clients.unknown.size).toBeLessThanOrEqual(33)
    expect(clients.slowestMs).toBeGreaterThan(1_000) // they waited, and were not served by somebody else
    const executed = tier.executed()
    const twice = executed.filter((id, at) => executed.indexOf(id) !== at)
    expect(twice).toEqual([])
    expect([...clients.good].filter(id => !executed.includes(id))).toEqual([])
  },
  120_000,
)

test('an empty pool answers 503 with Retry-After: after its time, and at once beyond its number', async () => {
  await using tier = await Tier.open('127.0.182')
  const site = `${tier.ip(1)}:8080`
  const pools = { web: { check: { http: '/' }, hold: { time: '2s', requests: 2 } } }
  const frontends = { http: { bind: site, pool: 'web' } }
  const balancer = tier.balancer({}, { balancer: { stats: false, frontends, pools } })
  await eventually(
    () => balancer.status(),
    status => status.balancer?.haproxy.pid !== undefined,
  )
  const agent = new Agent({ keepAlive: false })
  const startedMs = performance.now()
  const get = async () => {
    const answer = await answerOf(tier.site, agent)
    return { status: answer.statusCode, retryAfter: answer.headers['retry-after'], ms: performance.now() - startedMs }
  }
  const all = await Promise.all([get(), get(), get()])
  const [first, ...held] = all.toSorted((a, b) => a.ms - b.ms)
  expect(all).toEqual(Array.from({ length: 3 }, () => expect.objectContaining({ status: 503, retryAfter: '1' })))
  expect(first?.ms).toBeLessThan(1_500)
  for (const one of held) expect(one.ms).toBeGreaterThanOrEqual(1_900)
}, 120_000)

function answerOf(site: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(site, { agent }, answer => {
      answer.resume()
      answer.on('end', () => resolve(answer))
    })
    sent.on('error', reject)
    sent.end()
  })
}
