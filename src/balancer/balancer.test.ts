import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { silentLog, systemClock, systemRandom } from '../base/index.ts'
import { type Balancer, type BalancerConfig, type Server, startBalancer } from './index.ts'
import { endAll, endings, freshPort, get, rig, until, web } from '../testing/index.ts'

afterEach(endAll)

test('a ready server comes into traffic and goes out again without a reload', async () => {
  const { start, port, config } = await rig()
  const balancer = await start()
  await balancer.settle()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  balancer.wanted([a.server])
  const inMs = await until(async () => (await get(port)).status === 200)
  balancer.wanted([a.server, b.server])
  const secondMs = await until(() => balancer.status().pools[0]?.servers.filter(s => s.state === 'ready').length === 2)
  await balancer.settle() // decided is not yet done
  const bodies = new Set<string>()
  for (let i = 0; i < 8; i++) bodies.add((await get(port, i % 2 ? 'POST' : 'GET')).body)
  expect([...bodies].sort()).toEqual(['127.0.21.2', '127.0.21.3'])
  expect(await readFile(config.configPath, 'utf8')).toContain(
    `127.0.21.3:${b.server.port} id 102 tcp-ut 5s check weight 1 # ${b.server.name}`,
  )
  balancer.wanted([a.server, { ...b.server, liveness: 'withdrawn' }])
  const outMs = await until(() => balancer.status().pools[0]?.servers.length === 1)
  await balancer.settle()
  expect(balancer.named('Server web/slot1 is UP, web.unsafe/slot2 via web/slot2; web/slot3')).toBe(
    `Server web/slot1 (${a.server.name}) is UP, web.unsafe/slot2 (${b.server.name}) via web/slot2 (${b.server.name}); web/slot3`,
  )
  expect(Math.max(inMs, secondMs, outMs)).toBeLessThan(2_000)
  for (let i = 0; i < 6; i++) expect((await get(port)).body).toBe('127.0.21.2')
  expect(balancer.status()).toMatchObject({ reloads: 0, problem: undefined, missingRetries: [] })
})

function stateOf(balancer: Balancer, server: Server): string | undefined {
  return balancer.status().pools[0]?.servers.find(other => other.name === server.name)?.state
}

test('a plain server comes in at its first good check, and not before', async () => {
  const { start, port } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  const dead: Server = { ...a.server, name: 'dead', host: 'dead', ip: '127.0.21.4', state: 'plain' }
  balancer.wanted([{ ...a.server, state: 'plain' }, dead])
  await until(() => stateOf(balancer, a.server) === 'ready')
  for (let i = 0; i < 10; i++) expect((await get(port)).status).toBe(200)
  expect(stateOf(balancer, dead)).toBe('down')
  expect(balancer.status().reloads).toBe(0)
})

test('a server announced ready that does not answer waits outside, with the reason in words', async () => {
  const { start } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  balancer.wanted([{ ...a.server, ip: '127.0.21.4' }])
  const reason = () => balancer.status().pools[0]?.servers[0]?.reason
  await until(() => reason()?.includes('ECONNREFUSED') === true)
  expect(stateOf(balancer, a.server)).toBe('entering')
})

test('a member that left is drained: its request in flight ends well, then it is gone', async () => {
  const { start, port } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  let release = (): void => {}
  a.http.removeAllListeners('request')
  a.http.on('request', (_, answer) => {
    release = () => answer.end('slow')
  })
  balancer.wanted([a.server])
  await until(() => stateOf(balancer, a.server) === 'ready')
  const slow = get(port)
  await until(async () => (await balancer.sessions())('web', a.server) === 1)
  expect((await balancer.sessions())('web', b.server)).toBe(0)
  balancer.wanted([{ ...a.server, liveness: 'left' }, b.server])
  await until(() => stateOf(balancer, b.server) === 'ready' && stateOf(balancer, a.server) === 'drain')
  for (let i = 0; i < 5; i++) expect((await get(port)).body).toBe('127.0.21.3')
  release()
  expect((await slow).body).toBe('slow')
  await until(() => stateOf(balancer, a.server) === undefined)
})

test('an agent that is replaced adopts HAProxy and its servers without a reload, and the same worker serves on', async () => {
  const { start, port } = await rig()
  const first = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  first.wanted([a.server, b.server])
  await until(() => stateOf(first, b.server) === 'ready' && stateOf(first, a.server) === 'ready')
  const { workerPid } = first.status().haproxy
  await first.stop({ keepHaproxy: true })
  const second = await start()
  await second.settle()
  expect(second.status().haproxy).toMatchObject({ workerPid, adopted: true })
  expect(second.status().pools[0]?.servers.map(({ name, state, liveness }) => ({ name, state, liveness }))).toEqual([
    { name: a.server.name, state: 'ready', liveness: 'unexplained' },
    { name: b.server.name, state: 'ready', liveness: 'unexplained' },
  ])
  second.wanted([b.server])
  await second.settle()
  for (let i = 0; i < 4; i++) expect((await get(port)).status).toBe(200)
  second.wanted([a.server, b.server])
  await second.settle()
  expect(second.status()).toMatchObject({ reloads: 0, runtimeCommands: 0 })
})

test.each(['another file is configured', 'every file is lost'])(
  'HAProxy is adopted with its servers though %s: nothing is taken out, and the wanted configuration comes into force',
  async what => {
    const { start, port, config, supervise } = await rig()
    const first = await start()
    const a = await web('127.0.21.2')
    const b = await web('127.0.21.3')
    first.wanted([a.server, b.server])
    await until(() => stateOf(first, b.server) === 'ready' && stateOf(first, a.server) === 'ready')
    await first.stop({ keepHaproxy: true })
    const isLost = what === 'every file is lost'
    if (isLost) for (const end of ['', '.loaded']) await rm(`${config.configPath}${end}`)
    const other = isLost ? config.configPath : join(config.runDir, 'other.cfg')
    const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
    const next: BalancerConfig = { ...config, configPath: other, pools: { web: { balance: 'roundrobin' } } }
    const second = await startBalancer(next, deps)
    endings.push(() => second.stop({ keepHaproxy: true }))
    const answers: number[] = []
    const isInForce = () => second.status().reloads === 1 && second.status().problem === undefined
    await until(async () => answers.push((await get(port)).status) > 0 && isInForce())
    await second.settle()
    second.wanted([a.server, b.server])
    await second.settle()
    for (let i = 0; i < 20; i++) answers.push((await get(port)).status)
    expect(answers.filter(status => status !== 200)).toEqual([])
    expect(second.status().pools[0]?.servers.map(({ name, state }) => ({ name, state }))).toEqual([
      { name: a.server.name, state: 'ready' },
      { name: b.server.name, state: 'ready' },
    ])
    expect(await readFile(config.configPath, 'utf8')).toContain('balance roundrobin')
  },
)

test('a disk that takes no file keeps nobody out of traffic: status says so, and the file follows when it does', async () => {
  const { port, config, supervise } = await rig()
  const directory = join(config.runDir, 'state')
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  const balancer = await startBalancer({ ...config, configPath: join(directory, 'haproxy.cfg') }, deps)
  endings.push(() => balancer.stop({ keepHaproxy: true }))
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  await until(() => stateOf(balancer, a.server) === 'ready')
  await rename(directory, `${directory}-away`)
  const b = await web('127.0.21.3')
  balancer.wanted([{ ...a.server, liveness: 'withdrawn' }, b.server])
  await until(() => stateOf(balancer, b.server) === 'ready')
  for (let i = 0; i < 10; i++) expect((await get(port)).body).toBe('127.0.21.3')
  expect(balancer.status().haproxy.state).toBe('ready')
  expect(balancer.status().problem).toContain("HAProxy's file cannot be written")
  await rename(`${directory}-away`, directory)
  await until(() => balancer.status().problem === undefined)
  expect(await readFile(join(directory, 'haproxy.cfg'), 'utf8')).toContain(b.server.name)
})

test.each(['slots', 'named'] as const)(
  'the only server of a pool that moves to another port serves on the old one until the new one does (%s)',
  async template => {
    const { start, port } = await rig({ template })
    const balancer = await start()
    const old = (await web('127.0.21.2')).server
    const next = (await web('127.0.21.2')).server
    balancer.wanted([{ ...old, state: 'plain' }])
    await until(() => stateOf(balancer, old) === 'ready')
    balancer.wanted([
      { ...old, state: 'plain', liveness: 'withdrawn' },
      { ...next, state: 'plain' },
    ])
    const answers: number[] = []
    const ports = () => balancer.status().pools[0]?.servers.map(server => server.port) ?? []
    await until(async () => answers.push((await get(port)).status) > 50 && ports().join() === `${next.port}`)
    await balancer.settle()
    for (let i = 0; i < 20; i++) answers.push((await get(port)).status)
    expect(answers.filter(status => status !== 200)).toEqual([])
  },
)

test.each(['of a user lost its notes', 'was changed'])(
  'what an adopted HAProxy serves stays until the ring can tell who it is, when the template %s',
  async what => {
    const dir = await mkdtemp(join(tmpdir(), 'mbt-'))
    endings.push(() => rm(dir, { recursive: true }))
    const path = join(dir, 'classic.hbs')
    const { config, port, supervise } = await rig({ template: { path } })
    const head = 'defaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n'
    const site = `listen site\n  bind 127.0.21.1:${port}\n`
    await writeFile(path, `${head}${site}{{#each addresses}}  server {{host}} {{ip}}:{{port}} check\n{{/each}}`)
    const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
    const first = await startBalancer(config, deps)
    endings.push(() => first.stop({ keepHaproxy: true }))
    const a = await web('127.0.21.2')
    first.wanted([a.server])
    await until(() => stateOf(first, a.server) === 'ready')
    await first.settle()
    await first.stop({ keepHaproxy: true })
    if (what === 'of a user lost its notes') await rm(`${config.configPath}.servers`)
    const template = what === 'was changed' ? 'slots' : config.template
    const second = await startBalancer({ ...config, template }, deps)
    endings.push(() => second.stop({ keepHaproxy: true }))
    const answers: number[] = []
    for (let i = 0; i < 20; i++) answers.push((await get(port)).status)
    await second.settle()
    expect(second.status().problem).toContain('until the ring has been joined')
    second.wanted([a.server], { joinedAtMs: systemClock.nowMs() })
    await until(async () => answers.push((await get(port)).status) > 60 && second.status().problem === undefined)
    await second.settle()
    for (let i = 0; i < 10; i++) answers.push((await get(port)).status)
    expect(answers.filter(status => status !== 200)).toEqual([])
    expect(stateOf(second, a.server)).toBe('ready')
  },
)

test('sixty servers that join at once all serve, after few reloads', async () => {
  const { start } = await rig()
  const balancer = await start()
  const { server } = await web('0.0.0.0')
  const servers = Array.from({ length: 60 }, (_, i): Server => {
    const name = `n${i}`
    return { ...server, name, host: name, ip: `127.0.21.${i + 10}` }
  })
  for (let n = 10; n <= 60; n += 10) {
    balancer.wanted(servers.slice(0, n))
    await balancer.settle()
  }
  await until(() => balancer.status().pools[0]?.servers.filter(({ state }) => state === 'ready').length === 60)
  expect(balancer.status().reloads).toBeLessThanOrEqual(3)
})

test('the template `named` has one line per member; joins and leaves are reloads', async () => {
  const { start, port, config } = await rig({ template: 'named' })
  const balancer = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  balancer.wanted([a.server, { ...b.server, state: 'plain' }])
  await until(() => stateOf(balancer, a.server) === 'ready' && stateOf(balancer, b.server) === 'ready')
  for (let i = 0; i < 4; i++) expect((await get(port, i % 2 ? 'POST' : 'GET')).status).toBe(200)
  expect(await readFile(config.configPath, 'utf8')).toContain(`server ${a.server.name} 127.0.21.2:${a.server.port}`)
  balancer.wanted([{ ...a.server, state: 'draining' }, b.server])
  await until(() => stateOf(balancer, a.server) === 'drain')
  await balancer.settle()
  for (let i = 0; i < 4; i++) expect((await get(port)).body).toBe('127.0.21.3')
  balancer.wanted([b.server], { members: new Map([[a.server.name, 'left']]) })
  await until(async () => !(await readFile(config.configPath, 'utf8')).includes(a.server.name))
  for (let i = 0; i < 4; i++) expect((await get(port)).body).toBe('127.0.21.3')
  expect(balancer.status().reloads).toBeGreaterThan(0)
})

test('a classic template works unchanged, through the master socket, and status says which retry settings it lacks', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mbt-'))
  endings.push(() => rm(dir, { recursive: true }))
  const path = join(dir, 'classic.hbs')
  const frontPort = freshPort()
  const appPort = freshPort()
  await writeFile(
    path,
    `defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
listen site
  bind 127.0.21.1:${frontPort}
  server static 127.0.21.9:1 check
  {{#each addresses}}
  server {{ host }} {{ ip }}:${appPort} check
  {{/each}}
`,
  )
  const { start } = await rig({ template: { path } })
  const balancer = await start()
  const a = await web('127.0.21.2', appPort)
  balancer.wanted([{ ...a.server, state: 'plain' }])
  await until(async () => (await get(frontPort)).body === '127.0.21.2')
  await until(() => stateOf(balancer, a.server) === 'ready')
  expect(balancer.status().missingRetries.map(({ setting }) => setting)).toEqual([
    'option redispatch 1',
    'retry-on conn-failure empty-response junk-response response-timeout',
    'option idle-close-on-response',
  ])
  await balancer.settle()
  await balancer.stop({ keepHaproxy: true })
  const second = await start()
  await second.settle()
  expect(second.status()).toMatchObject({ reloads: 0, pools: [{ servers: [{ name: a.server.name, state: 'ready' }] }] })
  second.wanted([{ ...a.server, state: 'draining' }])
  await until(() => stateOf(second, a.server) === 'drain')
  await second.settle()
  expect((await get(frontPort)).status).toBe(503)
})

test('a classic template has no servers of pools that this balancer does not have', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mbt-'))
  endings.push(() => rm(dir, { recursive: true }))
  const path = join(dir, 'classic.hbs')
  const head = 'defaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n'
  const port = freshPort()
  const site = `listen site\n  bind 127.0.21.1:${port}\n`
  const { start } = await rig({ template: { path } }, { port })
  await writeFile(path, `${head}${site}{{#each addresses}}\n  server {{host}} {{ip}}:{{port}} check\n{{/each}}\n`)
  const balancer = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  balancer.wanted([a.server, { ...b.server, name: a.server.name, host: a.server.host, pool: 'api' }])
  await until(() => stateOf(balancer, a.server) === 'ready')
  await balancer.settle()
  for (let i = 0; i < 6; i++) expect((await get(port)).body).toBe('127.0.21.2')
})

test('a name that could break a configuration line is refused, counted and warned of once, and changes nothing else', async () => {
  const { start, config } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  const before = await readFile(config.configPath, 'utf8')
  const evil: Server = { ...a.server, name: 'x\n  server evil 1.2.3.4:80' }
  balancer.wanted([evil, { ...a.server, port: 99_999 }, { ...a.server, ip: '1.2.3.4 backup' }])
  await balancer.settle()
  expect(balancer.status()).toMatchObject({ refused: 3, pools: [{ servers: [] }], runtimeCommands: 0, reloads: 0 })
  expect(await readFile(config.configPath, 'utf8')).toBe(before)
})

test('HAProxy that is killed comes back from the file with every server', async () => {
  const { start, port } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  balancer.wanted([a.server])
  await until(() => stateOf(balancer, a.server) === 'ready')
  await balancer.settle()
  const { workerPid } = balancer.status().haproxy
  process.kill(workerPid as number, 'SIGKILL')
  await until(() => balancer.status().haproxy.workerPid !== workerPid)
  expect((await get(port)).body).toBe('127.0.21.2')
  await balancer.settle()
  expect(balancer.status()).toMatchObject({ reloads: 0, problem: undefined })
})

test.each(['the agent runs', 'the agent starts anew'])(
  'an HAProxy whose sockets were deleted is brought back into reach without losing its servers, while %s',
  async when => {
    const { port, config, supervise } = await rig()
    const runDir = join(config.runDir, 'run')
    const run = async () => {
      const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
      const balancer = await startBalancer({ ...config, runDir }, deps)
      endings.push(() => balancer.stop({ keepHaproxy: true }))
      return balancer
    }
    const first = await run()
    const a = await web('127.0.21.2')
    first.wanted([a.server])
    await until(() => stateOf(first, a.server) === 'ready')
    await first.settle()
    if (when === 'the agent starts anew') await first.stop({ keepHaproxy: true })
    await rm(runDir, { recursive: true })
    const second = when === 'the agent starts anew' ? await run() : first
    const b = await web('127.0.21.3')
    second.wanted([{ ...a.server, liveness: 'withdrawn' }, b.server])
    await until(() => stateOf(second, b.server) === 'ready' && stateOf(second, a.server) === undefined, 10_000)
    await second.settle()
    for (let i = 0; i < 10; i++) expect((await get(port)).body).toBe('127.0.21.3')
    expect(second.status()).toMatchObject({ problem: undefined, haproxy: { state: 'ready' } })
  },
)

test('a changed configuration that HAProxy refuses is kept beside the old one, which serves on', async () => {
  const { start, port, config, supervise } = await rig()
  const first = await start()
  const a = await web('127.0.21.2')
  first.wanted([a.server])
  await until(() => stateOf(first, a.server) === 'ready')
  await first.stop({ keepHaproxy: true })
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  const second = await startBalancer({ ...config, pools: { web: { balance: 'nonsense' } } }, deps)
  endings.push(() => second.stop({ keepHaproxy: true }))
  await until(() => second.status().problem !== undefined)
  expect(second.status().problem).toContain('balance only supports')
  expect(await readFile(`${config.configPath}.refused`, 'utf8')).toContain('nonsense')
  expect((await get(port)).body).toBe('127.0.21.2')
})

test('a server killed under load loses no GET, and its return is a new entry', async () => {
  const { start, port } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  balancer.wanted([a.server, b.server])
  await until(() => stateOf(balancer, a.server) === 'ready' && stateOf(balancer, b.server) === 'ready')
  let failed = 0
  for (let i = 0; i < 200; i++) {
    if (i === 50) {
      a.http.closeAllConnections()
      a.http.close()
    }
    if (i === 100) balancer.wanted([{ ...a.server, liveness: 'failed' }, b.server])
    if ((await get(port)).status !== 200) failed++
  }
  expect(failed).toBe(0)
  await until(() => stateOf(balancer, a.server) === 'down')
})

test.each(['slots', 'named'] as const)(
  'a cold start has every server of the last file in traffic, also those that were down then (template %s)',
  async template => {
    const { start, config } = await rig({ template, reloadSpacingMs: 1 })
    const first = await start()
    const [a, b] = [await web('127.0.21.2'), await web('127.0.21.3')]
    first.wanted([a.server, b.server])
    await until(() => [a, b].every(({ server }) => stateOf(first, server) === 'ready'))
    a.http.closeAllConnections()
    a.http.close()
    const lines = async () => (await readFile(config.configPath, 'utf8')).split('\n')
    const lineOf = async () => (await lines()).find(line => line.includes(`${a.server.ip}:${a.server.port}`)) ?? ''
    await until(async () => (await lineOf()).includes(' disabled'))
    await first.stop({ keepHaproxy: false })
    await web(a.server.ip, a.server.port)
    const second = await start()
    expect(await lineOf()).not.toContain(' disabled')
    await until(() => stateOf(second, a.server) === 'ready')
  },
)

test('HAProxy that is stopped leaves no sockets behind', async () => {
  const { start, config } = await rig()
  const balancer = await start()
  const sockets = async () => (await readdir(config.runDir)).filter(name => name.endsWith('.sock'))
  expect(await sockets()).toHaveLength(3) // HAProxy's two, and the door of its pool
  await balancer.stop({ keepHaproxy: false })
  expect(await sockets()).toEqual([])
})

test('a program that is missing or too old is a sentence, and nothing is started', async () => {
  const { config, supervise } = await rig({ haproxyPath: '/nowhere/haproxy' })
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  await expect(startBalancer(config, deps)).rejects.toThrow('install HAProxy 2.6')
  const old = join(config.runDir, 'old')
  await writeFile(old, '#!/bin/sh\necho "HAProxy version 2.2.9-2 2021/02/06"\n', { mode: 0o755 })
  await expect(startBalancer({ ...config, haproxyPath: old }, deps)).rejects.toThrow('is version 2.2.9-2')
  expect(supervise.status().state).toBe('stopped')
})

test('a request that a dying server may have run is replayed only if that is safe: GET yes, POST no', async () => {
  const { start, port } = await rig()
  const balancer = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  const seen: string[] = []
  for (const { http } of [a, b]) {
    http.removeAllListeners('request')
    http.on('request', (asked, answer) => {
      seen.push(asked.method ?? '')
      if (seen.length === 1) asked.socket.destroy()
      else answer.end('good')
    })
  }
  balancer.wanted([a.server, b.server])
  await until(() => stateOf(balancer, a.server) === 'ready' && stateOf(balancer, b.server) === 'ready')
  expect((await get(port, 'POST')).status).toBe(502)
  expect(seen).toEqual(['POST'])
  seen.length = 0
  expect((await get(port, 'GET')).body).toBe('good')
  expect(seen).toEqual(['GET', 'GET'])
})

test('an address that another process has is said before anything is started', async () => {
  const taken = await web('127.0.21.1')
  const { config, supervise } = await rig({
    frontends: { www: { bind: `127.0.21.1:${taken.server.port}`, pool: 'web' } },
  })
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  await expect(startBalancer(config, deps)).rejects.toThrow(/cannot listen on .* has it/)
  expect(supervise.status().state).toBe('stopped')
})

test.each([
  ['in a list of binds', (bind: string) => ({ frontends: { www: { bind: ['127.0.21.1:0', bind], pool: 'web' } } })],
  ['between commas', (bind: string) => ({ frontends: { www: { bind: `127.0.21.1:0,${bind}`, pool: 'web' } } })],
  ['for the statistics', (bind: string) => ({ stats: { bind } })],
])('an address that another HAProxy has is not shared with it: %s', async (_, taken) => {
  const first = await rig()
  await first.start()
  const { config, supervise } = await rig(taken(`127.0.21.1:${first.port}`))
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  await expect(startBalancer(config, deps)).rejects.toThrow(`cannot listen on 127.0.21.1:${first.port}: `)
  expect(supervise.status().state).toBe('stopped')
})

test('a port that was taken when the configuration changed is listened on soon after it is free', async () => {
  const { start, config, supervise } = await rig()
  const first = await start()
  await first.stop({ keepHaproxy: true })
  const taken = await web('127.0.21.1')
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  const more = { bind: `127.0.21.1:${taken.server.port}`, pool: 'web' }
  const second = await startBalancer({ ...config, frontends: { ...config.frontends, more } }, deps)
  endings.push(() => second.stop({ keepHaproxy: true }))
  await until(() => second.status().problem?.includes('has it') === true)
  const a = await web('127.0.21.2')
  second.wanted([a.server]) // what runs goes on following the ring
  await until(() => stateOf(second, a.server) === 'ready')
  taken.http.closeAllConnections()
  taken.http.close()
  await until(() => second.status().problem === undefined)
  expect((await get(taken.server.port)).body).toBe('127.0.21.2')
})

test('a server known to be down is not forgotten by a reload', async () => {
  const { start, port } = await rig({ template: 'named' })
  const balancer = await start()
  const a = await web('127.0.21.2')
  const b = await web('127.0.21.3')
  const c = await web('127.0.21.4')
  balancer.wanted([a.server, b.server])
  await until(() => stateOf(balancer, b.server) === 'ready')
  a.http.closeAllConnections()
  a.http.close()
  await until(() => stateOf(balancer, a.server) === 'down')
  balancer.wanted([{ ...a.server, liveness: 'failed' }, b.server, c.server])
  await until(() => stateOf(balancer, c.server) === 'ready')
  await balancer.settle()
  expect(stateOf(balancer, a.server)).toBe('down')
  for (let i = 0; i < 4; i++) expect((await get(port)).status).toBe(200)
})

test('sticky clients keep their server over a reload, and the cookie is the same on every balancer', async () => {
  const pools = { web: { sticky: 'cookie' as const } }
  const first = await rig({ pools })
  const second = await rig({ pools })
  const a = await web('127.0.21.2')
  const cookies: string[] = []
  for (const { start, port } of [first, second]) {
    const balancer = await start()
    balancer.wanted([a.server])
    await until(() => stateOf(balancer, a.server) === 'ready')
    cookies.push(
      await new Promise(resolve => {
        request({ host: '127.0.21.1', port, agent: false }, answer => {
          answer.resume()
          resolve(String(answer.headers['set-cookie']))
        }).end()
      }),
    )
  }
  expect(cookies[0]).toMatch(/^SRV=[0-9a-f]{16};/)
  expect(cookies[1]).toBe(cookies[0])
})
