import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../base/index.ts'
import { HaproxyControl } from '../drivers/haproxy-control.ts'
import { UnknownReplyError } from '../errors.ts'
import { type Balancer, leftOn, type Receipt, socketPaths } from '../index.ts'
import { classicTemplate, endAll, get, rig, type Rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

const ORDER = { actor: 'operator', causes: [{ what: 'a test' }] }

function receiptsOf(balancer: Balancer): Receipt[] {
  const receipts: Receipt[] = []
  balancer.onReceipt(receipt => receipts.push(receipt))
  return receipts
}

/** What somebody says to HAProxy behind our back. */
function poke({ config }: Rig, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(join(config.runDir, 'haproxy.sock'), () => socket.write(`${line};quit\n`))
    socket.on('data', chunk => (text += chunk.toString()))
    socket.on('close', () => resolve(text.trim()))
    socket.on('error', reject)
  })
}

async function started(made: Rig): Promise<Balancer> {
  const balancer = await made.start()
  await balancer.settle()
  return balancer
}

test('every change has a receipt: who came, why, how, and what was said to HAProxy', async () => {
  const balancer = await started(await rig())
  const receipts = receiptsOf(balancer)
  const a = await web('127.0.21.2')
  balancer.wanted([a.server], { causes: [{ what: 'member-join', member: a.server.name, seenBy: 'lb-1' }] })
  await until(() => receipts.some(receipt => receipt.changes.some(change => change.after?.state === 'ready')))
  expect(receipts[0]?.causes).toEqual([{ what: 'member-join', member: a.server.name, seenBy: 'lb-1' }])
  const entered = receipts.at(-1) as Receipt
  expect(entered).toMatchObject({ actor: 'muster', method: 'runtime', reasons: [] })
  expect(entered.commands.at(-1)).toMatch(/^set server web\/slot1 state ready$/)
  expect(entered.changes[0]).toMatchObject({ pool: 'web', server: a.server.name, reason: 'announced ready' })
  balancer.wanted([{ ...a.server, liveness: 'withdrawn' }])
  await until(() => receipts.at(-1)?.changes[0]?.after === null)
  expect(receipts.at(-1)).toMatchObject({
    commands: ['set server web/slot1 state maint'],
    changes: [{ server: a.server.name, before: { state: 'ready', weight: 1 }, reason: 'its member withdrew it' }],
  })
  expect(new Set(receipts.map(({ id }) => id)).size).toBe(receipts.length)
})

test('a plan says what would be done, touches nothing, and is what is then done', async () => {
  const made = await rig()
  const balancer = await started(made)
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  await until(() => balancer.status().pools[0]?.servers[0]?.state === 'ready')
  await balancer.settle()
  expect((await balancer.plan()).method).toBe('nothing')
  const next = { ...made.config, pools: { web: { timeoutServerMs: 12_000 } } }
  const outlook = await balancer.plan(next)
  expect(outlook).toMatchObject({
    method: 'reload',
    reasons: ['web', 'web.unsafe'].map(name => `backend ${name}: timeout server changed`),
  })
  expect(await readFile(made.config.configPath, 'utf8')).toBe(outlook.before)
  const receipt = await balancer.apply(next, { ...ORDER, expected: outlook.id })
  expect(receipt).toMatchObject({
    actor: 'operator',
    method: 'reload',
    reasons: outlook.reasons,
    commands: outlook.commands,
  })
  expect(await readFile(made.config.configPath, 'utf8')).toBe(outlook.after)
  expect((await balancer.plan(next)).method).toBe('nothing')
  expect((await get(made.port)).body).toBe('127.0.21.2')
})

test('a plan that was agreed to and is no longer true is refused, and nothing is done', async () => {
  const made = await rig()
  const balancer = await started(made)
  const next = { ...made.config, pools: { web: { timeoutServerMs: 12_000 } } }
  const { id } = await balancer.plan(next)
  const other = { ...made.config, pools: { web: { timeoutServerMs: 13_000 } } }
  await expect(balancer.apply(other, { ...ORDER, expected: id })).rejects.toThrow(
    `plan ${id} is not what would be done`,
  )
  expect(balancer.status().reloads).toBe(0)
})

test('a configuration that HAProxy refuses changes nothing, and the one before goes on being kept', async () => {
  const made = await rig({ reloadSpacingMs: 1 })
  const balancer = await started(made)
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  await until(() => balancer.status().pools[0]?.servers[0]?.state === 'ready')
  const refused = { ...made.config, pools: { web: { balance: 'fastest' } } }
  await expect(balancer.apply(refused, ORDER)).rejects.toThrow(/HAProxy refused[\s\S]*balance only supports/)
  await balancer.settle()
  const b = await web('127.0.21.3')
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  expect(balancer.status()).toMatchObject({ reloads: 0, problem: undefined })
  expect(await readFile(made.config.configPath, 'utf8')).toContain('balance leastconn')
})

test("a plan has HAProxy's words about what it would refuse, a file that the configuration names and that is gone among it", async () => {
  const made = await rig({ reloadSpacingMs: 1 })
  const path = join(made.config.runDir, 'own.hbs')
  const page = join(made.config.runDir, '503.http')
  await writeFile(page, 'HTTP/1.0 503 Sorry\r\n\r\nsorry\n')
  const template = classicTemplate({ bind: `127.0.21.1:${made.port}`, frontend: `errorfile 503 ${page}` })
  const balancer = await started(made)
  const own = { ...made.config, template: { path } }
  await writeFile(path, template.replace('mode http', 'foo bar'))
  const outlook = await balancer.plan(own)
  expect(outlook).toMatchObject({
    method: 'reload',
    refusal: expect.stringMatching(/haproxy.cfg \(planned\):4\].*'foo'/) as unknown,
  })
  await expect(balancer.apply(own, { ...ORDER, expected: outlook.id })).rejects.toThrow(/unknown keyword 'foo'/)
  await writeFile(path, template)
  await balancer.apply(own, ORDER)
  expect((await balancer.plan(own)).refusal).toBeUndefined()
  await rm(page)
  expect((await balancer.plan(own)).refusal).toContain(page)
  const files = await readdir(made.config.runDir)
  expect(files.filter(name => name.includes('planned'))).toEqual([])
})

test('the key of the cookies, entries of maps and of ACLs change without a reload', async () => {
  const made = await rig()
  const directory = dirname(made.config.configPath)
  const [template, map, list] = ['t.hbs', 'hosts.map', 'blocked.acl'].map(name => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const frontend = `http-response set-header x-site %[hdr(host),map(${map},none)]
  acl blocked src -f ${list}
  http-response set-header x-blocked yes if blocked
  http-request set-var(txn.h) hdr(host)
  http-response set-header x-site %[var(txn.h),map(${map},none)]`
  const write = (key: string) =>
    writeFile(
      template,
      classicTemplate({
        bind: `127.0.21.1:${made.port}`,
        frontend,
        backend: `cookie SRV insert dynamic\n  dynamic-cookie-key ${key}`,
      }),
    )
  await write('first')
  await writeFile(map, 'a.example one\nb.example two words\n')
  await writeFile(list, '10.0.0.0/8\n')
  const own = { ...made, start: () => rigWith(made, template) }
  const balancer = await started(own)
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  await until(async () => (await get(made.port)).status === 200)
  await balancer.settle()
  const reloads = balancer.status().reloads
  expect((await poke(made, `show map ${map}`)).split('\n').length).toBe(2)
  await write('second')
  await writeFile(map, '# sites\nb.example three more words\nc.example four\n')
  await writeFile(list, '10.0.0.0/8\n127.0.0.0/8\n')
  const outlook = await balancer.plan()
  expect(outlook).toMatchObject({ method: 'runtime', reasons: [] })
  const receipt = await balancer.apply(undefined, { ...ORDER, expected: outlook.id })
  expect(receipt?.commands).toEqual(
    [
      `add acl ${list} 127.0.0.0/8`,
      `set map ${map} b.example three\\ more\\ words`,
      `add map ${map} c.example four`,
      `del map ${map} a.example`,
      'set dynamic-cookie-key backend web second',
    ].sort((x, y) => outlook.commands.indexOf(x) - outlook.commands.indexOf(y)),
  )
  const shown = await poke(made, `show map ${map}`)
  expect(
    shown
      .split('\n')
      .map(row => row.replace(/^0x\S+ /, ''))
      .sort(),
  ).toEqual(['b.example three more words', 'c.example four'])
  expect(balancer.status().reloads).toBe(reloads)
  expect((await balancer.plan()).method).toBe('nothing')
})

test('a certificate is exchanged without a reload, and a file that holds none is refused by HAProxy', async () => {
  const made = await rig()
  const directory = dirname(made.config.configPath)
  const [template, pem] = [join(directory, 't.hbs'), join(directory, 'site.pem')]
  await writeFile(template, classicTemplate({ bind: `127.0.21.1:${made.port} ssl crt ${pem}` }))
  await writeFile(pem, certificate(directory, 'first.example'))
  const balancer = await started({ ...made, start: () => rigWith(made, template) })
  await until(async () => (await nameOf(made.port)) === 'first.example')
  const reloads = balancer.status().reloads
  await writeFile(pem, certificate(directory, 'second.example'))
  const outlook = await balancer.plan()
  expect(outlook.commands).toEqual([`set ssl cert ${pem} <<`, `commit ssl cert ${pem}`])
  await balancer.apply(undefined, { ...ORDER, expected: outlook.id })
  expect(await nameOf(made.port)).toBe('second.example')
  expect(balancer.status().reloads).toBe(reloads)
  await writeFile(pem, 'no certificate\n')
  await expect(balancer.apply(undefined, ORDER)).rejects.toThrow(/HAProxy refused/)
  expect(await nameOf(made.port)).toBe('second.example')
})

test('where HAProxy has no socket of its own a certificate takes a reload, and none any more once it has one', async () => {
  const made = await rig({ reloadSpacingMs: 1 })
  const directory = dirname(made.config.configPath)
  const [template, pem] = [join(directory, 't.hbs'), join(directory, 'site.pem')]
  const full = classicTemplate({ bind: `127.0.21.1:${made.port} ssl crt ${pem}` })
  await writeFile(template, full.replace(/^ *stats socket.*\n/m, ''))
  await writeFile(pem, certificate(directory, 'first.example'))
  const balancer = await started({ ...made, start: () => rigWith(made, template) })
  await until(async () => (await nameOf(made.port)) === 'first.example')
  await writeFile(pem, certificate(directory, 'second.example'))
  const outlook = await balancer.plan()
  expect(outlook).toMatchObject({ method: 'reload', commands: [] })
  expect(outlook.reasons).toEqual([`${pem}: another certificate, which takes HAProxy's own socket (stats socket)`])
  await balancer.apply(undefined, { ...ORDER, expected: outlook.id })
  expect(await nameOf(made.port)).toBe('second.example')
  await writeFile(template, full)
  expect((await balancer.apply(undefined, ORDER))?.method).toBe('reload')
  await writeFile(pem, certificate(directory, 'third.example'))
  expect((await balancer.apply(undefined, ORDER))?.method).toBe('runtime')
  expect(await nameOf(made.port)).toBe('third.example')
})

test('what somebody changes over the socket is put right, shown, and not fought over for ever', async () => {
  const made = await rig()
  const balancer = await started(made)
  const receipts = receiptsOf(balancer)
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  await until(() => balancer.status().pools[0]?.servers[0]?.state === 'ready')
  await balancer.settle()
  /** But for the bit that only says that the file has it `disabled`. */
  const stateNow = async () => Number((await poke(made, 'show servers state web')).split('\n')[2]?.split(' ')[6]) & ~4
  for (let times = 0; times < 3; times++) {
    await poke(made, 'set server web/slot1 state maint')
    balancer.wake()
    await until(async () => (await stateNow()) === 0)
    await balancer.settle()
  }
  expect(receipts.at(-1)).toMatchObject({ causes: [{ what: 'found changed by somebody else' }], method: 'runtime' })
  expect(balancer.status().drifts.at(-1)).toMatchObject({ what: `web/slot1 (${a.server.name})`, outcome: 'put right' })
  await poke(made, 'set server web/slot1 state maint')
  balancer.wake()
  await balancer.settle()
  expect(balancer.status().drifts.at(-1)?.outcome).toContain('left alone for a while')
  expect(await stateNow()).not.toBe(0)
  await balancer.apply(undefined, ORDER)
  expect(await stateNow()).toBe(0)
})

test('what is kept of somebody else is called by its name until an apply has put it right', async () => {
  const made = await rig({ drift: 'adopt' })
  const balancer = await started(made)
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  const server = () => balancer.status().pools[0]?.servers[0]
  await until(() => server()?.state === 'ready')
  await balancer.settle()
  await poke(made, 'set server web/slot1 state maint')
  balancer.wake()
  await until(() => balancer.status().drifts.at(-1)?.outcome.startsWith('kept') === true)
  expect(server()).toMatchObject({
    state: 'down',
    reason: expect.stringContaining('in maintenance (MAINT)') as unknown,
  })
  await balancer.apply(undefined, ORDER)
  await balancer.settle()
  expect(server()?.state).toBe('ready')
  expect(balancer.status().drifts.map(({ outcome }) => outcome)).toEqual(['put right'])
})

test('a drain takes effect on a server of which somebody else has changed the weight, kept or not', async () => {
  const made = await rig({ drift: 'adopt' })
  const balancer = await started(made)
  const [a, b] = [await web('127.0.21.2'), await web('127.0.21.3')]
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  await balancer.settle()
  const adminNow = async () => Number((await poke(made, 'show servers state web')).split('\n')[2]?.split(' ')[6]) & ~4
  await poke(made, 'set server web/slot1 weight 5')
  balancer.wake()
  await until(() => balancer.status().drifts.at(-1)?.outcome.startsWith('kept') === true)
  await balancer.settle()
  expect(await poke(made, 'get weight web/slot1')).toMatch(/^5 /)
  balancer.wanted([{ ...a.server, state: 'draining' }, b.server])
  await balancer.settle()
  expect(await adminNow()).toBe(8) // drain
  for (let i = 0; i < 4; i++) expect((await get(made.port)).body).toBe('127.0.21.3')
  expect(balancer.status().drifts.at(-1)?.outcome).toBe('put right')
  await poke(made, 'set server web/slot1 state ready')
  balancer.wake()
  await balancer.settle()
  expect(await adminNow()).toBe(8)
  expect(balancer.status().drifts.at(-1)?.outcome).toBe('put right')
  balancer.wanted([a.server, b.server])
  await until(async () => (await adminNow()) === 0)
  await until(async () => (await poke(made, 'get weight web/slot1')).startsWith('1 '))
})

test('who insists on maintenance gets it for a while, also for a server that drains; it is no fall of that server', async () => {
  const made = await rig()
  const balancer = await started(made)
  const [a, b] = [await web('127.0.21.2'), await web('127.0.21.3')]
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  await balancer.settle()
  const outcomeOfPoke = async (slot: string) => {
    await poke(made, `set server web/${slot} state maint`)
    balancer.wake()
    await balancer.settle()
    return balancer.status().drifts.at(-1)?.outcome.split(' ', 2).join(' ')
  }
  const many = async (slot: string) => {
    const outcomes: unknown[] = []
    for (let nth = 0; nth < 4; nth++) outcomes.push(await outcomeOfPoke(slot))
    return outcomes
  }
  expect(await many('slot1')).toEqual(['put right', 'put right', 'put right', 'left alone'])
  expect(balancer.status().pools[0]?.servers[0]?.reason).not.toContain('came and went')
  balancer.wanted([a.server, { ...b.server, state: 'draining' }])
  await balancer.settle()
  expect(await many('slot2')).toEqual(['put right', 'put right', 'put right', 'left alone'])
})

test('a file that is edited by hand is set aside and written anew, or kept where that is configured', async () => {
  const made = await rig()
  const balancer = await started(made)
  const ours = await readFile(made.config.configPath, 'utf8')
  await writeFile(made.config.configPath, ours.replace('maxconn', 'maxconn 77 # was'))
  balancer.wake()
  await until(async () => (await readFile(made.config.configPath, 'utf8')) === ours)
  expect(await readFile(`${made.config.configPath}.edited`, 'utf8')).toContain('maxconn 77')
  await until(() => balancer.status().drifts.at(-1)?.what === "HAProxy's file")
  const keeps = { ...made.config, drift: 'adopt' as const }
  await balancer.apply(keeps, ORDER)
  await writeFile(made.config.configPath, `${ours}# mine\n`)
  balancer.wake()
  await until(() => balancer.status().drifts.at(-1)?.outcome.startsWith('kept') === true)
  await balancer.settle()
  expect(await readFile(made.config.configPath, 'utf8')).toBe(`${ours}# mine\n`)
})

test('no reload, whoever asks for it, sends anybody to servers that are known to be dead, not even for the moment before it is told', async () => {
  const made = await rig({ template: 'named', reloadSpacingMs: 1, pools: { web: { timeoutConnectMs: 20 } } })
  const balancer = await started(made)
  const all = await Promise.all(['127.0.21.2', '127.0.21.3', '127.0.21.4', '127.0.21.5'].map(ip => web(ip)))
  balancer.wanted(all.map(({ server }) => server))
  const servers = () => balancer.status().pools[0]?.servers ?? []
  await until(() => servers().filter(({ state }) => state === 'ready').length === 4)
  for (const { http } of all.slice(1)) {
    http.closeAllConnections()
    http.close()
  }
  balancer.wanted(all.map(({ server }, i) => (i === 0 ? server : { ...server, liveness: 'failed' })))
  await until(() => servers().filter(({ state }) => state === 'down').length === 3)
  await balancer.settle()
  const config = (ms: number) => ({ ...made.config, pools: { web: { timeoutServerMs: ms, timeoutConnectMs: 20 } } })
  const plan = await balancer.plan(config(20_000))
  expect(plan.commands.filter(line => line.endsWith('health down')).length).toBe(3)
  const statuses = new Map<number, number>()
  let isOver = false
  const asking = Array.from({ length: 8 }, async (_, i) => {
    const method = i % 2 === 0 ? 'GET' : 'POST'
    while (!isOver) {
      const { status } = await get(made.port, method)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })
  for (let i = 0; i < 8; i++) await balancer.apply(config(20_000 + i), ORDER)
  const disabled = async () => (await readFile(made.config.configPath, 'utf8')).split(' disabled').length - 1
  expect(await disabled()).toBe(3)
  for (let i = 0; i < 8; i++) {
    const before = balancer.status().haproxy.workerPid
    process.kill(made.supervise.pid as number, 'SIGUSR2')
    await until(() => {
      balancer.wake()
      return balancer.status().haproxy.workerPid !== before
    })
    await balancer.settle()
    expect(servers().filter(({ state }) => state === 'down').length).toBe(3)
  }
  isOver = true
  await Promise.all(asking)
  expect([...statuses.keys()]).toEqual([200])
  const back = all[1] as (typeof all)[number]
  await web(back.server.ip, back.server.port)
  await until(() => servers().filter(({ state }) => state === 'ready').length === 2)
  await until(async () => (await disabled()) === 2)
})

async function rigWith(made: Rig, template: string): Promise<Balancer> {
  const other = await rig({ ...made.config, template: { path: template } }, { port: made.port })
  return other.start()
}

/** A certificate with its key, signed by itself. */
function certificate(directory: string, name: string): string {
  const [key, crt] = [join(directory, 'new.key'), join(directory, 'new.crt')]
  const wanted = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`]
  execFileSync('openssl', ['req', '-x509', ...wanted, '-keyout', key, '-out', crt, '-days', '2'], { stdio: 'pipe' })
  return execFileSync('cat', [crt, key]).toString()
}

function nameOf(port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connectTls({ host: '127.0.21.1', port, rejectUnauthorized: false }, () => {
      const { subject } = socket.getPeerCertificate() as PeerCertificate
      socket.destroy()
      resolve(subject?.CN as string | undefined)
    })
    socket.on('error', () => resolve(undefined))
  })
}

test('old workers are listed with what they serve, and bounded in number: the oldest is ended', async () => {
  const made = await rig({ reloadSpacingMs: 1, oldWorkers: { max: 2 } })
  const balancer = await started(made)
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  const kept: Agent[] = []
  const hold = () =>
    new Promise<void>((resolve, reject) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      kept.push(agent)
      const answered = (answer: IncomingMessage) => answer.resume().on('end', resolve)
      request({ host: '127.0.21.1', port: made.port, agent }, answered).on('error', reject).end()
    })
  for (let i = 0; i < 4; i++) {
    await hold() // idle connections live on in the worker of their time
    await balancer.apply({ ...made.config, pools: { web: { timeoutServerMs: 20_000 + i } } }, ORDER)
  }
  const old = () => balancer.status().haproxy.oldWorkers
  await until(() => old().length === 2, 10_000)
  expect(old().every(({ sessions }) => sessions >= 1)).toBe(true)
  const left = await balancer.sessions()
  expect(left('web', a.server)).toBe(0) // idle connections to clients are no work of a server's
  for (const agent of kept) agent.destroy()
})

test('what the oldest of many old workers still serves is counted', async () => {
  const made = await rig({ reloadSpacingMs: 1, oldWorkers: { max: 20 } })
  const balancer = await started(made)
  const a = await web('127.0.21.2')
  const waiting: (() => void)[] = []
  a.http.removeAllListeners('request')
  a.http.on('request', (_, answer) => waiting.push(() => answer.end('slow')))
  balancer.wanted([a.server])
  await until(() => balancer.status().pools[0]?.servers[0]?.state === 'ready')
  const endpoint = `127.0.21.2:${a.server.port}`
  const left = async () => {
    const found = await leftOn(socketPaths(made.config), [endpoint], { withAges: true, clock: systemClock })
    return [found.get(endpoint)?.sessions, (await balancer.sessions())('web', a.server)]
  }
  const answers: Promise<{ body: string }>[] = []
  for (let i = 1; i <= 10; i++) {
    answers.push(get(made.port))
    await until(() => waiting.length === i)
    await balancer.apply({ ...made.config, pools: { web: { timeoutServerMs: 20_000 + i } } }, ORDER)
  }
  expect(await left()).toEqual([10, 10])
  for (const answer of waiting) answer()
  expect(new Set((await Promise.all(answers)).map(({ body }) => body))).toEqual(new Set(['slow']))
  await until(async () => (await left()).join() === '0,0')
})

test("a user's template that goes through slots has members come and go without a reload, and is adopted with their names", async () => {
  const made = await rig()
  const template = join(dirname(made.config.configPath), 'own.hbs')
  const lines = classicTemplate({ bind: `127.0.21.1:${made.port}` })
    .replace('{{#each servers}}', '{{#each slots}}')
    .replace('weight {{weight}}', 'weight {{weight}}{{#if disabled}} disabled{{/if}}')
  await writeFile(template, lines)
  const own = await rig({ ...made.config, template: { path: template } }, { port: made.port })
  const first = await started(own)
  const [a, b] = [await web('127.0.21.2'), await web('127.0.21.3')]
  first.wanted([a.server, b.server])
  const ready = (balancer: Balancer) =>
    (balancer.status().pools[0]?.servers ?? []).filter(({ state }) => state === 'ready').map(({ name }) => name)
  await until(() => ready(first).length === 2)
  await first.settle()
  first.wanted([a.server, { ...b.server, liveness: 'withdrawn' }])
  await until(() => first.status().pools[0]?.servers.length === 1)
  await first.settle()
  expect(first.status()).toMatchObject({ reloads: 0, problem: undefined })
  expect((await get(made.port)).body).toBe('127.0.21.2')
  await first.stop({ keepHaproxy: true })
  const second = await started(own)
  expect(ready(second)).toEqual([a.server.name])
  second.wanted([a.server, b.server])
  await until(() => ready(second).length === 2)
  expect(second.status().reloads).toBe(0)
})

test('a server that is taken out while a change waits its turn is out in the new configuration, too', async () => {
  const made = await rig({ reloadSpacingMs: 1, pools: { web: { sticky: 'cookie', cookieKey: 'first' } } })
  const balancer = await started(made)
  const [a, b] = [await web('127.0.194.2'), await web('127.0.194.3')]
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  await balancer.settle()
  const pool = { sticky: 'cookie', timeoutServerMs: 12_000 } as const
  const changes = ['first', 'second'].map(cookieKey => ({ ...made.config, pools: { web: { ...pool, cookieKey } } }))
  const applied = changes.map(config => balancer.apply(config, ORDER))
  await until(() => readFile(made.config.configPath, 'utf8').then(text => text.includes('timeout server 12000ms')))
  balancer.wanted([a.server, { ...b.server, liveness: 'withdrawn' }])
  const methods = (await Promise.all(applied)).map(receipt => receipt?.method)
  expect(methods).toEqual(['reload', 'runtime'])
  await balancer.settle()
  const slot2 = (await poke(made, 'show servers state web')).split('\n').find(row => row.includes(' slot2 ')) ?? ''
  expect(Number(slot2.split(' ')[6]) & 1).toBe(1) // in maintenance
  balancer.wanted([a.server, { ...b.server, ip: '127.0.194.4' }])
  await until(() => balancer.status().pools[0]?.servers.some(({ slot }) => slot !== 'slot1') === true)
  expect((await balancer.plan()).method).not.toBe('reload')
})

test.each(['adopt', 'restore'] as const)(
  'servers come and go while a file that was edited by hand is left alone (drift: %s)',
  async drift => {
    const made = await rig({ reloadSpacingMs: 1, drift })
    const balancer = await started(made)
    const receipts = receiptsOf(balancer)
    const [a, b, c] = [await web('127.0.194.2'), await web('127.0.194.3'), await web('127.0.194.4')]
    const isReady = (count: number) =>
      until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === count)
    balancer.wanted([a.server, b.server])
    await isReady(2)
    const edits = drift === 'adopt' ? 1 : 4
    for (let times = 1; times <= edits; times++) {
      await writeFile(made.config.configPath, `${await readFile(made.config.configPath, 'utf8')}# mine, ${times}\n`)
      balancer.wake()
      await until(() => balancer.status().drifts.length === times)
      await balancer.settle()
    }
    expect(balancer.status().drifts.at(-1)?.outcome).toMatch(/^(kept|left alone)/)
    const bits = async (slot: string) => {
      const rows = (await poke(made, 'show servers state web')).split('\n')
      return Number(rows.find(row => row.includes(` ${slot} `))?.split(' ')[6]) & ~4
    }
    balancer.wanted([a.server, { ...b.server, liveness: 'withdrawn' }])
    await until(async () => (await bits('slot2')) === 1)
    balancer.wanted([a.server, c.server])
    await isReady(2)
    expect(await bits('slot3')).toBe(0)
    await balancer.settle()
    const done = receipts.length
    balancer.wake()
    await balancer.settle()
    expect(receipts.length).toBe(done)
    expect(await readFile(made.config.configPath, 'utf8')).toContain('# mine')
    await balancer.apply(undefined, ORDER)
    expect(await readFile(made.config.configPath, 'utf8')).not.toContain('# mine')
  },
)

/** Understands nothing, once. */
class DeafControl extends HaproxyControl {
  isDeaf = false
  override async send(commands: Parameters<HaproxyControl['send']>[0]): Promise<void> {
    if (this.isDeaf && commands.length > 0) {
      this.isDeaf = false
      throw new UnknownReplyError('HAProxy answered "?"')
    }
    return super.send(commands)
  }
}

test('the reload that follows an unknown reply forgets no drain, and is nobody else’s doing', async () => {
  let control: DeafControl | undefined
  const made = await rig({ reloadSpacingMs: 1 }, { makeControl: (...parts) => (control = new DeafControl(...parts)) })
  const balancer = await started(made)
  const receipts = receiptsOf(balancer)
  const [a, b] = [await web('127.0.194.2'), await web('127.0.194.3')]
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  balancer.wanted([a.server, { ...b.server, state: 'draining' }])
  await until(() => balancer.status().pools[0]?.servers.some(({ state }) => state === 'drain') === true)
  await balancer.settle()
  if (control !== undefined) control.isDeaf = true
  balancer.wanted([
    { ...a.server, weight: 7 },
    { ...b.server, state: 'draining' },
  ])
  await until(() => receipts.at(-1)?.method === 'reload')
  expect(receipts.at(-1)).toMatchObject({
    reasons: ['HAProxy answered "?"'],
    commands: ['set server web/slot2 state drain'],
  })
  await balancer.settle()
  expect(receipts.at(-1)?.method).toBe('reload')
  expect(balancer.status().drifts).toEqual([])
})

test('what somebody wrote into the file and made HAProxy load is set aside, too, before it is put right', async () => {
  const made = await rig({ reloadSpacingMs: 1 })
  const balancer = await started(made)
  const ours = await readFile(made.config.configPath, 'utf8')
  await writeFile(made.config.configPath, ours.replace('timeout client 60s', 'timeout client 61s'))
  process.kill(made.supervise.pid as number, 'SIGUSR2')
  await until(() => balancer.status().drifts.length === 2)
  await until(async () => (await readFile(made.config.configPath, 'utf8')) === ours)
  expect(await readFile(`${made.config.configPath}.edited`, 'utf8')).toContain('timeout client 61s')
  await until(async () => (await balancer.plan()).method === 'nothing')
})

test('a file that cannot be read or replaced keeps nobody in traffic', async () => {
  const made = await rig()
  const balancer = await started(made)
  const [a, b] = [await web('127.0.194.2'), await web('127.0.194.3')]
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  await balancer.settle()
  await rm(made.config.configPath)
  await mkdir(made.config.configPath)
  balancer.wanted([a.server, { ...b.server, liveness: 'withdrawn' }])
  await until(async () => / slot2 .* 0 5 /.test((await poke(made, 'show servers state web')).split('\n')[3] ?? ''))
  await until(() => balancer.status().problem?.includes('cannot be written') === true)
  await rmdir(made.config.configPath)
  await until(() => balancer.status().problem === undefined)
  expect(await readFile(made.config.configPath, 'utf8')).toContain(a.server.name)
})

test('a template with a program of its own beside HAProxy is taken; the program’s files are none of HAProxy’s', async () => {
  const made = await rig({ reloadSpacingMs: 1 })
  const [template, list] = [join(made.config.runDir, 't.hbs'), join(made.config.runDir, 'side.list')]
  await writeFile(list, 'a\nb\n')
  const exposed = 'global\n.if version_atleast(3.2)\n  expose-deprecated-directives\n.endif\n'
  const text = classicTemplate({ bind: `127.0.194.1:${made.port}` }).replace('global\n', exposed)
  await writeFile(template, `${text}program side\n  command /usr/bin/tail -f ${list}\n`)
  const balancer = await started(made)
  await balancer.apply({ ...made.config, template: { path: template } }, ORDER)
  expect((await balancer.plan()).method).toBe('nothing')
})

test('who was taken out while a reload waits has a receipt with what was said and why, also when it came during an apply', async () => {
  const made = await rig({ template: 'named', reloadSpacingMs: 2_500 })
  const balancer = await started(made)
  const [a, b] = [await web('127.0.194.2'), await web('127.0.194.3')]
  balancer.wanted([a.server, b.server])
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 2)
  await balancer.settle()
  const receipts = receiptsOf(balancer)
  const applied = balancer.apply({ ...made.config, pools: { web: { timeoutServerMs: 12_000 } } }, ORDER)
  await until(() => readFile(made.config.configPath, 'utf8').then(text => text.includes('timeout server 12000ms')))
  const cause = { what: 'member-update', member: b.server.name }
  balancer.wanted([a.server, { ...b.server, liveness: 'withdrawn' }], { causes: [cause] })
  await applied
  await until(() => receipts.some(({ changes }) => changes.some(({ after }) => after === null)))
  expect(receipts[0]).toMatchObject({ ...ORDER, method: 'reload', changes: [] })
  expect(receipts[1]).toMatchObject({
    causes: [cause],
    method: 'runtime',
    commands: [`set server web/${b.server.name} state maint`],
    changes: [{ server: b.server.name, after: null }],
  })
  await until(() => receipts.length === 3)
  expect(receipts[2], 'its line goes from the file').toMatchObject({ causes: [cause], method: 'reload', changes: [] })
})

test("where drift is adopted, a server in somebody else's hands stays so while others come, until an operator applies", async () => {
  const made = await rig({ drift: 'adopt' })
  const balancer = await started(made)
  const [a, b] = [await web('127.0.21.2'), await web('127.0.21.3')]
  balancer.wanted([a.server])
  const ready = () => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length
  await until(() => ready() === 1)
  await balancer.settle()
  const adminOf = async (slot: number) =>
    Number((await poke(made, 'show servers state web')).split('\n')[slot + 1]?.split(' ')[6]) & ~4
  await poke(made, 'set server web/slot1 state maint')
  balancer.wake()
  await until(() => balancer.status().drifts.at(-1)?.outcome.startsWith('kept') === true)
  balancer.wanted([a.server, b.server])
  await until(async () => (await adminOf(2)) === 0)
  await balancer.settle()
  expect(await adminOf(1)).not.toBe(0)
  await balancer.apply(undefined, ORDER)
  expect(await adminOf(1)).toBe(0)
})
