/**
 * Rolling replacement of applications that die at once on SIGTERM, in the middle of whatever they are doing, behind three balancers
 * with sticky users. 3 rounds; `npm run test:rolling` has 20.
 */
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eventually } from './parts.ts'
import { Tier, type TierAgent, untilReady } from './tier.ts'

const ROUNDS = Number(process.env['ROLLING_ROUNDS'] ?? 3)
const BALANCERS = [1, 2, 3]
const BACKENDS = [11, 12, 13]
/** Sticky users of each balancer, and as many without a cookie. */
const USERS = 4

/** Answers after 30 to 60 ms, writes down each POST before it does, and knows nothing of SIGTERM. */
const APP = `
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
const { HOST, LEDGER, NAME } = process.env
createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  request.resume()
  setTimeout(() => {
    if (request.method === 'POST') appendFileSync(LEDGER, request.url.slice(1) + '\\n')
    response.setHeader('x-backend-name', NAME).end('done')
  }, request.url === '/' ? 0 : 30 + Math.random() * 30)
}).listen(3000, HOST)
`

interface Load {
  readonly sent: () => number
  readonly failed: readonly string[]
  /** Ids of POSTs that were answered well. */
  readonly posted: readonly string[]
  end(): Promise<void>
}

/** Users at these sites who ask again 20 ms after each answer, every second time with a POST. */
function startUsers(sites: readonly string[]): Load {
  const failed: string[] = []
  const posted: string[] = []
  let [sent, isOver] = [0, false]
  const user = async (host: string, name: string, isSticky: boolean) => {
    const agent = new Agent({ keepAlive: isSticky })
    let cookie: string | undefined
    for (let turn = 0; !isOver; turn++) {
      const id = `${name}-${turn}`
      const method = turn % 2 === 0 ? 'POST' : 'GET'
      sent++
      const answer = await ask(agent, host, method, id, cookie)
      if (answer.failure !== undefined) failed.push(`${method} ${id}: ${answer.failure}`)
      else if (method === 'POST') posted.push(id)
      if (isSticky) cookie = answer.cookie ?? cookie
      await pause(20)
    }
    agent.destroy()
  }
  const users = sites.flatMap(host =>
    Array.from({ length: 2 * USERS }, (_, at) => user(host, `${host}-${at}`, at < USERS)),
  )
  const end = async () => {
    isOver = true
    await Promise.all(users)
  }
  return { sent: () => sent, failed, posted, end }
}

interface Answered {
  readonly failure?: string
  readonly cookie?: string
}

function ask(agent: Agent, host: string, method: string, id: string, cookie: string | undefined): Promise<Answered> {
  const headers = cookie === undefined ? {} : { cookie }
  return new Promise(done => {
    const asked = request({ agent, host, port: 8080, method, path: `/${id}`, headers, timeout: 15_000 }, answer => {
      answer.resume()
      answer.once('error', failure => done({ failure: failure.message }))
      answer.once('end', () => {
        const set = answer.headers['set-cookie']?.[0]?.split(';')[0]
        const at = `${answer.statusCode} of ${String(answer.headers['x-backend-name'])}`
        done({
          ...(answer.statusCode === 200 ? {} : { failure: at }),
          ...(set === undefined ? {} : { cookie: set }),
        })
      })
    })
    asked.once('timeout', () => asked.destroy(new Error('no answer within 15 s')))
    asked.once('error', failure => done({ failure: failure.message }))
    asked.end()
  })
}

function balancerOn(tier: Tier, host: number, cluster: object): TierAgent {
  const frontends = { http: { bind: `${tier.ip(host)}:8080`, pool: 'web' } }
  return tier.muster(`lb-${host}`, host, {
    node: { tags: { role: 'balancer' } },
    cluster: { ...cluster, ...(host === 1 ? {} : { join: [tier.gossip(1)] }) },
    balancer: {
      ...{ stats: `${tier.ip(host)}:1936`, frontends },
      pools: { web: { check: { http: '/', interval: '500ms' }, sticky: 'cookie' } },
    },
  })
}

function backendOn(tier: Tier, host: number, cluster: object, stop: object): TierAgent {
  const name = `web-${host}`
  const env = { HOST: tier.ip(host), NAME: name, LEDGER: join(tier.directory, `${name}.ledger`) }
  const command = [process.execPath, join(tier.directory, 'app.mjs')]
  const web = { command, env, pool: 'web', port: 3000, ready: { http: '/' }, stop }
  const join2 = BALANCERS.map(balancer => tier.gossip(balancer))
  return tier.muster(name, host, { cluster: { ...cluster, join: join2 }, services: { web } })
}

const NAMES = BACKENDS.map(host => `web-${host}`)

async function standUp(tier: Tier, cluster: object, stop: object) {
  writeFileSync(join(tier.directory, 'app.mjs'), APP)
  const balancers = BALANCERS.map(host => balancerOn(tier, host, cluster))
  const backends = new Map(BACKENDS.map(host => [host, backendOn(tier, host, cluster, stop)]))
  for (const one of balancers) await untilReady(one, NAMES)
  return { balancers, backends }
}

test(
  `${ROUNDS} rolling replacements of applications that die at once lose nothing, sticky users included`,
  async () => {
    await using tier = await Tier.open('127.0.183')
    const [cluster, stop] = [{ profile: 'local' }, { drain: '700ms' }]
    const { balancers, backends } = await standUp(tier, cluster, stop)
    const load = startUsers(BALANCERS.map(host => tier.ip(host)))
    for (let round = 0; round < ROUNDS; round++) {
      for (const host of BACKENDS) {
        await tier.signal(`web-${host}`, 'TERM')
        await backends.get(host)?.part.exited
        backends.set(host, backendOn(tier, host, cluster, stop))
        for (const one of balancers) await untilReady(one, NAMES)
      }
    }
    await load.end()
    expect(load.failed).toEqual([])
    expect(tier.executed().sort()).toEqual([...load.posted].sort())
    expect(load.sent()).toBeGreaterThan(ROUNDS * 200)
  },
  120_000 + ROUNDS * 60_000,
)

test('one balancer frozen: the replaced server names it, waits for it until the deadline, and the others lose nothing', async () => {
  await using tier = await Tier.open('127.0.183')
  const [cluster, stop] = [{ profile: 'lan' }, { drain: '2s' }] // a frozen member is found after several seconds
  const { balancers, backends } = await standUp(tier, cluster, stop)
  const [first, second, third] = balancers as [TierAgent, TierAgent, TierAgent]
  const haproxy = (await third.status()).balancer?.haproxy.pid as number
  const load = startUsers([1, 2].map(host => tier.ip(host)))
  await pause(500)
  await tier.signal(haproxy, 'STOP')
  await tier.signal('lb-3', 'STOP')
  const leaving = backends.get(11) as TierAgent
  await tier.signal('web-11', 'TERM')
  const told = await eventually(
    () => leaving.status(),
    status => (status.warnings ?? []).length > 0,
    10_000,
    20,
  )
  expect(told.warnings).toEqual(['web is being stopped and waits for lb-3, which gives no answer'])
  await leaving.part.exited
  expect(leaving.part.output).toMatch(/not every balancer has let go of the service .*lb-3/)
  backends.set(11, backendOn(tier, 11, cluster, stop))
  for (const one of [first, second]) await untilReady(one, NAMES)
  await load.end()
  expect(load.failed).toEqual([])
  expect(tier.executed().sort()).toEqual([...load.posted].sort())
  await tier.signal(haproxy, 'CONT')
  await tier.signal('lb-3', 'CONT')
  await untilReady(third, NAMES)
}, 120_000)
