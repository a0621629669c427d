/** What the real `serf` command does over RPC beside members and events: keys, coordinates, the log. At agents of both makes. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { eventually, members, Part, part, Ring, type RingAgent, serf } from './parts.ts'

const OLD = 'AAECAwQFBgcICQoLDA0ODw=='
const NEW = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
const run = promisify(execFile)

/** What a command that fails said, on both outputs, and its exit code. */
async function refused(agent: RingAgent, command: string, ...rest: string[]): Promise<{ said: string; code: unknown }> {
  try {
    const { stdout } = await run(part('serf'), [command, `-rpc-addr=${agent.rpc}`, ...rest], { timeout: 15_000 })
    return { said: stdout, code: 0 }
  } catch (failure) {
    const { stdout, stderr, code } = failure as { stdout: string; stderr: string; code: unknown }
    return { said: stdout + stderr, code }
  }
}

async function agreed(agents: readonly RingAgent[]): Promise<void> {
  const views = () => Promise.all(agents.map(agent => members(agent, 'serf')))
  const isWhole = (rows: { status: string }[]) =>
    rows.length === agents.length && rows.every(row => row.status === 'alive')
  await eventually(views, seen => seen.every(isWhole))
}

async function keysAt(agent: RingAgent): Promise<string[]> {
  const lines = (await serf(agent, 'keys', '-list')).split('\n')
  return lines.filter(line => line.endsWith(']')).map(line => line.trim().replace(/ +/, ' '))
}

test.concurrent('keys are rotated through serf keys at an agent of either make, and both keep them in their files', {
  timeout: 120_000,
}, async () => {
  await using ring = new Ring('127.0.76')
  const fileOf = (name: string) => join(ring.directory, `${name}.json`)
  for (const name of ['real', 'ours']) writeFileSync(fileOf(name), JSON.stringify([OLD]))
  const flags = (name: string) => [`-keyring-file=${fileOf(name)}`, '-profile=local']
  const real = await ring.start('serf', 'real', 1, flags('real'))
  const ours = await ring.start('muster', 'ours', 2, [...flags('ours'), `-join=${real.address}`])
  await agreed([real, ours])

  expect(await keysAt(ours)).toEqual([`${OLD} [2/2]`])
  expect(await serf(ours, 'keys', `-install=${NEW}`)).toContain('Successfully installed')
  expect((await keysAt(real)).sort()).toEqual([`${NEW} [2/2]`, `${OLD} [2/2]`].sort())
  expect(await serf(real, 'keys', `-use=${NEW}`)).toContain('Successfully changed primary')
  const primary = await refused(ours, 'keys', `-remove=${NEW}`)
  expect(primary.said).toContain('2/2 nodes reported failure')
  expect(primary.said).toMatch(/ours.*Removing the primary key is not allowed/)
  expect(primary.said).toMatch(/real.*Removing the primary key is not allowed/)
  expect(primary.code).toBe(1)
  expect(await serf(ours, 'keys', `-remove=${OLD}`)).toContain('Successfully removed')
  for (const agent of [real, ours]) expect(await keysAt(agent)).toEqual([`${NEW} [2/2]`])
  for (const name of ['real', 'ours']) expect(JSON.parse(readFileSync(fileOf(name), 'utf8'))).toEqual([NEW])
  await serf(ours, 'tags', '-set', 'after=rotation')
  await eventually(
    () => members(real, 'serf'),
    rows => rows.some(row => row.tags['after'] === 'rotation'),
  )
})

test.concurrent('without encryption, and with a key that is none, serf keys says at ours what it says at a real agent', {
  timeout: 60_000,
}, async () => {
  await using ring = new Ring('127.0.74', ['-profile=local'])
  const real = await ring.start('serf', 'real', 1)
  const ours = await ring.start('muster', 'ours', 2, [`-join=${real.address}`])
  await agreed([real, ours])
  const sorted = ({ said, code }: { said: string; code: unknown }) => [said.split('\n').sort(), code]
  for (const argument of [
    '-list',
    `-install=${NEW}`,
    `-use=${NEW}`,
    `-remove=${NEW}`,
    '-install=abc',
    '-install=a*==',
  ]) {
    expect(sorted(await refused(ours, 'keys', argument)), argument).toEqual(
      sorted(await refused(real, 'keys', argument)),
    )
  }
})

test.concurrent('serf rtt, reachability, info and monitor work at our agent as at a real one', {
  timeout: 60_000,
}, async () => {
  await using ring = new Ring('127.0.62', ['-profile=local'])
  const real = await ring.start('serf', 'real', 1)
  const ours = await ring.start('muster', 'ours', 2, [`-join=${real.address}`])
  await agreed([real, ours])
  for (const [at, other] of [
    [ours, 'real'],
    [real, 'ours'],
  ] as const) {
    const rtt = await eventually(
      () => serf(at, 'rtt', other),
      () => true,
    )
    const ms = Number(/^Estimated .+ rtt: ([\d.]+) ms$/m.exec(rtt)?.[1])
    expect(ms, rtt).toBeGreaterThan(0)
    expect(ms).toBeLessThan(1000)
    expect((await refused(at, 'rtt', 'nobody')).said).toContain('Could not find a coordinate for node "nobody"')
  }
  expect(await serf(ours, 'reachability')).toContain('Successfully contacted all live nodes')
  expect(await serf(ours, 'info')).toMatch(/^\tcoordinate_resets = 0$/m)

  const watching = new Part([part('serf'), 'monitor', `-rpc-addr=${ours.rpc}`, '-log-level=debug'])
  const shows = (pattern: RegExp) =>
    eventually(
      () => watching.output,
      text => pattern.test(text),
    )
  await shows(/\[INFO\] /)
  await shows(/\[DEBUG\] rpc: accepted RPC client/)
  await serf(ours, 'event', '-coalesce=false', 'deploy', 'v1')
  await shows(/deploy/)
  await watching.end('SIGINT')
})
