/** What a crash, a full disk or a wrong path leaves in place of the agent's files. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, members, Part, Ring } from './parts.ts'

const NET = '127.0.215'
const MUSTER = resolve(import.meta.dirname, '../bin/muster')

test.for([
  ['torn in the middle of a line', (peer: string) => `alive: peer ${peer}\nclock: 7\nalive: oth`, true],
  ['full of garbage between its lines', (peer: string) => `\0\0\0\nalive: peer ${peer}\nclock: x\n\xff\xfe\n`, true],
  ['empty', () => '', false],
  ['foreign', () => '{"this is": "no snapshot"}\n', false],
] as const)(
  'an agent starts with a snapshot that is %s, and finds whom it names',
  async ([, contentFor, isNamed], { task }) => {
    await using ring = new Ring(NET, ['-profile=local', '-log-level=debug'])
    const peer = await ring.start('muster', 'peer', 1)
    const path = join(ring.directory, 'serf.snapshot')
    const content = contentFor(peer.address)
    writeFileSync(path, content, 'latin1')
    const agent = await ring.start('muster', 'keeper', 2, [`-snapshot=${path}`])
    const names = await eventually(
      async () => (await members(agent, 'muster')).map(({ name }) => name).sort(),
      found => found.length === (isNamed ? 2 : 1),
    )
    expect(names).toEqual(isNamed ? ['keeper', 'peer'] : ['keeper'])
    const isForeign = task.name.includes('foreign')
    expect(existsSync(`${path}.set-aside`)).toBe(isForeign)
    if (!isForeign) return
    expect(readFileSync(`${path}.set-aside`, 'utf8')).toBe(content)
    expect(agent.part.output).toContain('set it aside')
  },
)

test.for([
  ['torn', '["EBESExQVFhcYGRobHB'],
  ['empty', ''],
  ['foreign', '{"keys": 1}'],
  ['of keys that are none', '["c2hvcnQ="]'],
] as const)(
  'a key ring that is %s on the very first start is said and left as it is; without its keys nothing is gossiped',
  async ([, content]) => {
    await using ring = new Ring(NET)
    const path = join(ring.directory, 'keyring.json')
    writeFileSync(path, content)
    const flags = [`-bind=${ring.addressOf(3)}`, '-rpc-addr=127.0.215.3:7373', `-keyring-file=${path}`]
    const own = { MUSTER_STATE_DIR: join(ring.directory, 's'), MUSTER_RUN_DIR: join(ring.directory, 'r') }
    const agent = new Part([process.execPath, MUSTER, 'agent', '-node=k', ...flags], own)
    expect(await agent.exited).toBe(2)
    expect(agent.output).toContain(`cluster.keyring: ${path}: `)
    expect(readFileSync(path, 'utf8')).toBe(content)
  },
)

test('a key ring that is torn later is set aside, and the agent goes on with the last good one', async () => {
  await using ring = new Ring(NET)
  const path = join(ring.directory, 'keyring.json')
  const key = Buffer.alloc(16, 9).toString('base64')
  writeFileSync(path, JSON.stringify([key]))
  const peer = await ring.start('muster', 'peer', 4, [`-encrypt=${key}`])
  const flags = [`-keyring-file=${path}`, `-join=${peer.address}`]
  const first = await ring.start('muster', 'k', 5, flags)
  expect(await first.part.end('SIGTERM')).toBe(0)
  writeFileSync(path, `["${key.slice(0, 9)}`)
  const second = await ring.start('muster', 'k', 5, flags)
  const alive = () => members(second, 'muster')
  await eventually(alive, rows => rows.filter(({ status }) => status === 'alive').length === 2)
  expect(second.part.output).toContain('the key ring was broken')
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual([key])
  expect(readFileSync(`${path}.set-aside`, 'utf8')).toBe(`["${key.slice(0, 9)}`)
})
