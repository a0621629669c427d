/** Whatever is restarted or replaced while clients go on: no request is lost, none runs twice, children keep their pids. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, cpSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { systemClock, systemRandom } from '../src/base/index.ts'
import { type Load, startLoad } from '../src/prove/index.ts'
import { eventually, part } from './parts.ts'
import { type MusterConfig, poolOf, Tier, type TierAgent, untilReady, verdictOn } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const MANAGERS = resolve(import.meta.dirname, '../examples/service-managers')
const NAMES = ['web-2', 'web-3']
const RATES = { close: 15, 'keep-alive': 15, post: 30, websocket: 10 }
const LOCAL = { profile: 'local' }

function loadOn(tier: Tier, url = tier.site): Load {
  const config = { url, rates: RATES, serverHeader: 'x-backend-name', insecure: true, timeoutMs: 15_000 }
  return startLoad(config, { clock: systemClock, random: systemRandom })
}

/** No kill is declared to the ledger: nothing that is done here excuses a request. */
async function expectNothingLost(tier: Tier, load: Load): Promise<void> {
  const { lost, doubled, unknown, failures, posts } = await verdictOn(tier, load)
  expect({ lost, doubled, unknown, failures: failures.slice(0, 5) }).toEqual({
    ...{ lost: 0, doubled: 0, unknown: 0, failures: [] },
  })
  expect(posts).toBeGreaterThan(10)
}

/** `muster COMMAND` for an agent. @returns what it printed */
async function muster(tier: Tier, agent: TierAgent, ...args: string[]): Promise<string> {
  return exec(tier, process.execPath, MUSTER, ...args, '--socket', socketOf(agent))
}

const socketOf = (agent: TierAgent): string => join(agent.directory, 'a.sock')

/** Any command among the tier's processes. @returns what it printed */
async function exec(tier: Tier, ...command: string[]): Promise<string> {
  const started = tier.run('command', command)
  expect(await started.exited, started.output).toBe(0)
  return started.output.trim()
}

function siteOf(tier: Tier, more: object = {}): MusterConfig {
  const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: 'web' } }
  const pools = { web: { check: { http: '/' } } }
  return { balancer: { stats: `${tier.ip(1)}:1936`, frontends, pools, ...more } }
}

interface Running {
  readonly agents: readonly TierAgent[]
  readonly pids: readonly number[]
}

/** The pids of HAProxy and of both web servers. */
async function pidsOf([lb, ...backends]: readonly TierAgent[]): Promise<number[]> {
  const haproxy = (await lb?.status())?.balancer?.haproxy.pid ?? 0
  const services = await Promise.all(backends.map(async one => (await one.status()).services[0]?.pid ?? 0))
  return [haproxy, ...services]
}

async function standUp(tier: Tier, more: MusterConfig = siteOf(tier)): Promise<Running> {
  const lb = tier.balancer(LOCAL, more)
  const agents = [lb, ...NAMES.map((name, at) => tier.backend(name, at + 2, { cluster: LOCAL }))]
  await untilReady(lb, NAMES)
  return { agents, pids: await pidsOf(agents) }
}

/** Waits until all agents answer, with this pool. @param before pids of agents that are to be gone */
async function untilBack(agents: readonly TierAgent[], before: readonly number[] = []): Promise<void> {
  for (const agent of agents)
    await eventually(
      () => agent.status(),
      ({ pid }) => !before.includes(pid),
      40_000,
    )
  const [lb] = agents as [TierAgent]
  await untilReady(lb, NAMES)
  await eventually(
    () => poolOf(lb),
    servers => servers.every(server => server.reason === 'announced ready'),
  )
}

test('agents that hand over or are killed with -9, of balancer and servers, cost no request, and no child its pid', async () => {
  await using tier = await Tier.open('127.0.191')
  const { agents, pids } = await standUp(tier)
  await using load = loadOn(tier)
  await load.untilServed('web-2')
  const again = (name: string): TierAgent =>
    name === 'lb' ? tier.balancer(LOCAL, siteOf(tier)) : tier.backend(name, Number(name.slice(-1)), { cluster: LOCAL })
  const current = [...agents]
  for (const how of ['handover', 'USR2', 'KILL'] as const) {
    for (const [at, old] of [...current].entries()) {
      if (how === 'handover') await muster(tier, old, 'handover')
      else await tier.signal(old.name, how)
      await old.part.exited
      current[at] = again(old.name)
      await untilBack(current)
      expect(await pidsOf(current)).toEqual(pids)
    }
  }
  await expectNothingLost(tier, load)
}, 120_000)

test("HAProxy's program is replaced while it serves: the same master runs the new file, and a broken file changes nothing", async () => {
  await using tier = await Tier.open('127.0.191')
  const program = join(tier.directory, 'haproxy')
  copyFileSync(part('haproxy'), program)
  const { agents, pids } = await standUp(tier, siteOf(tier, { haproxy: program }))
  const [lb] = agents as [TierAgent]
  const fileOf = async () => Number(await exec(tier, 'stat', '-L', '-c', '%i', `/proc/${pids[0]}/exe`))
  expect(await fileOf()).toBe(statSync(program).ino)
  await using load = loadOn(tier)
  await load.untilServed('web-3')

  const good = `${program}.good`
  copyFileSync(program, good)
  writeFileSync(`${program}.new`, 'half a download', { mode: 0o755 })
  renameSync(`${program}.new`, program)
  const refused = tier.run('command', [process.execPath, MUSTER, 'apply', '--reload', '--socket', socketOf(lb)])
  expect(await refused.exited).toBe(1)
  expect(refused.output).toMatch(/HAProxy refused .*still serves/)
  expect(await pidsOf(agents)).toEqual(pids)

  copyFileSync(good, `${program}.new`)
  appendFileSync(`${program}.new`, 'a newer one')
  renameSync(`${program}.new`, program)
  expect(await muster(tier, lb, 'apply')).toMatch(/nothing/i)
  expect(await fileOf()).not.toBe(statSync(program).ino)
  const applied = await muster(tier, lb, 'apply', '--reload')
  expect(applied).toMatch(/^applied by a hitless reload in \d+ ms/m)
  expect(await fileOf()).toBe(statSync(program).ino)
  expect(await pidsOf(agents)).toEqual(pids)
  await load.untilServed('web-2')
  await eventually(
    () => lb.status(),
    status => status.balancer?.haproxy.oldWorkers?.length === 0,
    40_000,
  )
  expect((await lb.status()).balancer?.haproxy.reloads).toBeGreaterThanOrEqual(1)
  await expectNothingLost(tier, load)
}, 120_000)

test('new certificates are served after an apply without a reload', async () => {
  await using tier = await Tier.open('127.0.191')
  const pem = join(tier.directory, 'site.pem')
  makeCertificate(pem)
  const tls = { bind: `${tier.ip(1)}:8443`, certificates: pem }
  const frontends = { http: { bind: `${tier.ip(1)}:8080`, pool: 'web', tls } }
  const { agents, pids } = await standUp(tier, siteOf(tier, { frontends }))
  const [lb] = agents as [TierAgent]
  const before = await servedBy(tier)
  const reloads = (await lb.status()).balancer?.haproxy.reloads
  await using load = loadOn(tier, `https://${tier.ip(1)}:8443/`)
  await load.untilServed('web-2')
  for (let time = 0; time < 3; time++) {
    const shown = await servedBy(tier)
    makeCertificate(pem)
    expect(await muster(tier, lb, 'apply')).toMatch(/^applied (?!by a hitless reload)/m)
    expect(await servedBy(tier)).not.toBe(shown)
    await load.untilServed('web-3')
  }
  expect(await servedBy(tier)).not.toBe(before)
  expect((await lb.status()).balancer?.haproxy.reloads).toBe(reloads)
  expect(await pidsOf(agents)).toEqual(pids)
  await expectNothingLost(tier, load)
}, 120_000)

test('agents move under s6, are killed and restarted by it, and adopt what runs; a stop by it drains', async () => {
  await using tier = await Tier.open('127.0.191')
  const { agents, pids } = await standUp(tier)
  await using load = loadOn(tier)
  await load.untilServed('web-2')
  for (const one of agents) {
    await muster(tier, one, 'handover')
    await one.part.exited
  }
  const directoryOf = (name: string) => join(tier.directory, 'scan', name)
  for (const { name, directory } of agents) {
    cpSync(join(MANAGERS, 's6'), directoryOf(name), { recursive: true })
    const run = join(directoryOf(name), 'run')
    const names = `export MUSTER='${MUSTER}' MUSTER_CONFIG='${join(directory, 'muster.yaml')}'\n`
    writeFileSync(
      run,
      readFileSync(run, 'utf8').replace(/^exec 2>&1$/m, line => `${line}\n${names}`),
    )
  }
  const agentPids = () => Promise.all(agents.map(async one => (await one.status()).pid))
  tier.run('s6', [part('s6-svscan'), join(tier.directory, 'scan')])
  await untilBack(agents)
  expect(await pidsOf(agents)).toEqual(pids)

  const adopted = await agentPids()
  for (const pid of adopted) await tier.signal(pid, 'KILL')
  await untilBack(agents, adopted)
  expect(await pidsOf(agents)).toEqual(pids)

  const killed = await agentPids()
  for (const { name } of agents) await exec(tier, part('s6-svc'), '-r', directoryOf(name))
  await untilBack(agents, killed)
  expect(await pidsOf(agents)).toEqual(pids)

  const [old] = (await agentPids()).slice(1)
  await exec(tier, part('s6-svc'), '-t', directoryOf('web-2'))
  await untilBack(agents, [old as number])
  const [haproxy, drained, other] = await pidsOf(agents)
  expect([haproxy, other]).toEqual([pids[0], pids[2]])
  expect(drained).not.toBe(pids[1])
  await expectNothingLost(tier, load)
}, 180_000)

test('the systemd unit is sound; what systemd does by it, a signal to the agent alone and a new start, loses nothing', async () => {
  await using tier = await Tier.open('127.0.191')
  const unit = join(tier.directory, 'muster.service')
  const text = readFileSync(join(MANAGERS, 'muster.service'), 'utf8')
  writeFileSync(unit, text.replace('/usr/local/bin/muster', MUSTER))
  const verified = tier.run('verify', [part('systemd-analyze'), 'verify', '--recursive-errors=no', '--man=no', unit])
  expect(await verified.exited, verified.output).toBe(0)
  expect(verified.output).toBe('')
  for (const line of ['KillMode=process', 'Restart=always', 'ExecReload=/bin/kill -HUP $MAINPID'])
    expect(text.split('\n')).toContain(line)

  const { agents, pids } = await standUp(tier)
  const [lb, first] = agents as [TierAgent, TierAgent]
  await using load = loadOn(tier)
  await load.untilServed('web-2')
  await tier.signal('web-2', 'TERM') // systemctl restart
  expect(await first.part.exited).toBe(0)
  const left = tier.run('left', ['kill', '-0', String(pids[1])])
  expect(await left.exited).not.toBe(0) // nothing is left in the unit's group
  const next = tier.backend('web-2', 2, { cluster: LOCAL })
  await untilBack([lb, next])
  await tier.signal('lb', 'HUP') // systemctl reload
  await eventually(
    () => lb.part.output,
    output => output.includes('reloading configuration'),
  )
  await tier.signal('lb', 'USR2') // systemctl kill -s SIGUSR2 --kill-who=main
  expect(await lb.part.exited).toBe(0)
  await untilBack([tier.balancer(LOCAL, siteOf(tier)), next])
  expect((await pidsOf([lb]))[0]).toBe(pids[0])
  await expectNothingLost(tier, load)
}, 120_000)

/** A certificate of its own each time, with the key behind it. */
function makeCertificate(pem: string): void {
  const [key, crt] = [`${pem}.key`, `${pem}.crt`]
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=site']
  execFileSync(part('openssl'), ['req', '-x509', ...what, '-keyout', key, '-out', crt, '-days', '2'], {
    stdio: 'ignore',
  })
  writeFileSync(pem, readFileSync(crt, 'utf8') + readFileSync(key, 'utf8'))
}

/** The fingerprint of the certificate that a new connection is shown. */
function servedBy(tier: Tier): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect({ host: tier.ip(1), port: 8443, rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.once('error', fail)
  })
}
