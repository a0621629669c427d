/** mDNS between hosts: `-discover` of both makes, on a bridge that carries multicast. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { Hosts } from './hosts.ts'
import { eventually, type MemberRow, Part, part } from './parts.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')

/** Agents on hosts, asked on their hosts. */
class Site implements AsyncDisposable {
  readonly hosts: Hosts
  readonly #directory = mkdtempSync(join(tmpdir(), 'discovery-'))
  readonly #parts: Part[] = []

  private constructor(hosts: Hosts) {
    this.hosts = hosts
  }

  static async open(n: number, numbers: readonly number[], options: { multicast: boolean }): Promise<Site> {
    const hosts = await Hosts.open(n, numbers)
    if (options.multicast)
      for (const host of numbers) await hosts.exec(host, 'ip', 'route', 'add', '224.0.0.0/4', 'dev', 'data')
    return new Site(hosts)
  }

  start(kind: 'serf' | 'muster', name: string, host: number, more: { ip?: string; flags?: string[] } = {}): Part {
    const { ip = this.hosts.ip(host), flags: others = [] } = more
    const program = kind === 'serf' ? [part('serf')] : [process.execPath, MUSTER]
    const flags = [`-node=${name}`, `-bind=${ip}:7946`, '-discover=shop', '-profile=local', ...others]
    const own = join(this.#directory, name)
    const env = { MUSTER_STATE_DIR: `${own}/s`, MUSTER_RUN_DIR: `${own}/r` }
    const pidFile = join(this.#directory, `${name}.pid`)
    const command = ['sh', '-c', 'echo $$ > "$0"; exec "$@"', pidFile, ...program, 'agent', ...flags]
    const started = new Part([...this.hosts.enter(host), ...command], env)
    this.#parts.push(started)
    return started
  }

  async kill(name: string, host: number): Promise<void> {
    const pid = readFileSync(join(this.#directory, `${name}.pid`), 'utf8').trim()
    await this.hosts.exec(host, 'kill', '-s', 'KILL', pid)
  }

  /** Who is alive, as an agent on that host says. */
  async alive(host: number): Promise<string[]> {
    const text = await this.hosts.exec(host, part('serf'), 'members', '-format=json')
    const rows = (JSON.parse(text) as { members: MemberRow[] | null }).members ?? []
    return rows
      .filter(row => row.status === 'alive')
      .map(row => row.name)
      .sort()
  }

  async sees(host: number, names: string[], withinMs = 30_000): Promise<void> {
    await eventually(
      () => this.alive(host),
      alive => alive.join() === names.join(),
      withinMs,
      200,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parts.map(one => one.end('SIGKILL')))
    await this.hosts[Symbol.asyncDispose]()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

test('Muster finds Muster by mDNS, whoever starts first, on a host without a route for multicast, too', async () => {
  await using site = await Site.open(206, [1, 2], { multicast: false })
  site.start('muster', 'a', 1)
  await site.sees(1, ['a'])
  site.start('muster', 'b', 2)
  await site.sees(1, ['a', 'b'])
  await site.sees(2, ['a', 'b'])
}, 60_000)

test('Muster finds Muster over IPv6 alone, and finds nobody of another cluster', async () => {
  await using site = await Site.open(209, [1, 2, 3], { multicast: false })
  const flags = ['-mdns-disable-ipv4']
  site.start('muster', 'a', 1, { flags })
  site.start('muster', 'other', 3, { flags: [...flags, '-discover=shops'] })
  await site.sees(1, ['a'])
  site.start('muster', 'b', 2, { flags })
  await site.sees(2, ['a', 'b'])
  await site.sees(3, ['other'])
}, 60_000)

test('Muster finds a real Serf agent by mDNS, and a real Serf agent finds Muster', async () => {
  await using site = await Site.open(207, [1, 2, 3], { multicast: true })
  site.start('serf', 'real', 1)
  await site.sees(1, ['real'])
  site.start('muster', 'ours', 2) // asks at once; Serf would ask again in a minute
  await site.sees(2, ['ours', 'real'])
  await site.hosts.cutLink(1, ['data']) // the first one hears no question
  site.start('serf', 'third', 3)
  await site.sees(3, ['ours', 'real', 'third'])
}, 90_000)

test('an agent finds its ring again by mDNS when all others are back with other addresses (serf#333)', async () => {
  await using site = await Site.open(208, [1, 2, 3], { multicast: false })
  const stays = site.start('muster', 'stays', 1)
  site.start('muster', 'b', 2)
  site.start('muster', 'c', 3)
  await site.sees(1, ['b', 'c', 'stays'])
  await Promise.all([site.kill('b', 2), site.kill('c', 3)])
  await site.sees(1, ['stays'])
  for (const host of [2, 3]) {
    await site.hosts.exec(host, 'ip', 'addr', 'del', `${site.hosts.ip(host)}/24`, 'dev', 'data')
    await site.hosts.exec(host, 'ip', 'addr', 'add', `${site.hosts.ip(host + 100)}/24`, 'dev', 'data')
  }
  site.start('muster', 'd', 2, { ip: site.hosts.ip(102) })
  site.start('muster', 'e', 3, { ip: site.hosts.ip(103) })
  await site.sees(1, ['d', 'e', 'stays'])
  expect(stays.child.exitCode).toBeNull()
}, 90_000)

test('links that come and go, as those of containers, leave nothing behind', async () => {
  await using site = await Site.open(211, [1], { multicast: false })
  site.start('muster', 'a', 1)
  await site.sees(1, ['a'])
  /** Sockets at mDNS's port, of IPv6: one for each link. */
  const count = async () => {
    const table = await site.hosts.exec(1, 'cat', '/proc/net/udp6')
    return table.split('\n').filter(line => line.includes(':14E9 ')).length
  }
  const reaches = (expected: number) =>
    eventually(
      count,
      found => found === expected,
      20_000, // alone, it asks every 15 s
      200,
    )
  const link = (...words: string[]) => site.hosts.exec(1, 'ip', 'link', ...words)
  const atFirst = await eventually(count, found => found > 0, 10_000, 200)
  const plug = async (n: number) => {
    await link('add', `d${n}`, 'type', 'veth', 'peer', 'name', `p${n}`)
    for (const end of [`d${n}`, `p${n}`]) await link('set', end, 'up')
  }
  for (const n of [1, 2]) await plug(n)
  await reaches(atFirst + 4)
  for (const n of [1, 2]) await link('del', `d${n}`)
  await plug(1)
  await reaches(atFirst + 2)
}, 60_000)
