/** A member that was away while the ring's keys were changed (serf#579), with a grace time: docs/decisions/0009-key-grace.md. */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, members, Ring, type RingAgent, serf } from './parts.ts'

const newKey = () => randomBytes(16).toString('base64')

/** A ring with keys in files, one for each name. */
function keyed(net: string, old: string) {
  const ring = new Ring(net, ['-profile=local'])
  const fileOf = (name: string) => join(ring.directory, `${name}.keyring`)
  const flags = (name: string, ...more: string[]) => {
    if (!existsSync(fileOf(name))) writeFileSync(fileOf(name), JSON.stringify([old]))
    return [`-keyring-file=${fileOf(name)}`, ...more]
  }
  const keysOf = (name: string) => JSON.parse(readFileSync(fileOf(name), 'utf8')) as string[]
  return { ring, flags, keysOf, fileOf }
}

const stands = async (agent: RingAgent, name: string) =>
  (await members(agent, 'serf')).find(row => row.name === name)?.status
const until = (agent: RingAgent, name: string, status: string, withinMs = 30_000) =>
  eventually(
    () => stands(agent, name),
    found => found === status,
    withinMs,
  )

async function rotate(agent: RingAgent, old: string, fresh: string): Promise<void> {
  for (const [flag, key] of [
    ['-install', fresh],
    ['-use', fresh],
    ['-remove', old],
  ] as const)
    await eventually(
      () => serf(agent, 'keys', flag, key), // an answer is one packet, and can be lost
      () => true,
    )
}

test('with a grace time, Muster and Serf members that were off or frozen during a rotation come back by themselves', async () => {
  const [old, fresh] = [newKey(), newKey()]
  const { ring: owned, flags, keysOf, fileOf } = keyed('127.0.151', old)
  await using ring = owned
  const seed = await ring.start('muster', 'stays', 1, flags('stays', '-key-grace=10m'))
  const other = await ring.start('muster', 'also', 2, flags('also', `-join=${seed.address}`)) // without a grace time
  const join = `-join=${seed.address}`
  const off = await ring.start('muster', 'off', 3, flags('off', join))
  const frozen = await ring.start('muster', 'frozen', 4, flags('frozen', join))
  const real = await ring.start('serf', 'real', 5, flags('real', join))
  const realOff = await ring.start('serf', 'real-off', 6, flags('real-off', join))
  for (const name of ['also', 'off', 'frozen', 'real', 'real-off']) await until(seed, name, 'alive')
  for (const agent of [off, realOff]) await agent.part.end('SIGKILL')
  for (const agent of [frozen, real]) agent.part.child.kill('SIGSTOP')
  for (const name of ['off', 'frozen', 'real', 'real-off']) await until(seed, name, 'failed', 40_000)
  await rotate(seed, old, fresh)
  const listed = await eventually(
    () => serf(seed, 'keys', '-list'), // an answer is one packet, and can be lost
    () => true,
  )
  expect(listed).not.toContain(old)
  expect(readFileSync(`${fileOf('stays')}.retired`, 'utf8')).toContain(old)

  for (const agent of [frozen, real]) agent.part.child.kill('SIGCONT')
  await ring.start('muster', 'off', 3, flags('off', join))
  await ring.start('serf', 'real-off', 6, flags('real-off', join))
  for (const name of ['off', 'frozen', 'real', 'real-off']) {
    await until(seed, name, 'alive', 30_000)
    await until(other, name, 'alive', 30_000) // who has no grace time hears them, since they speak with the present key
    await eventually(
      () => keysOf(name),
      keys => keys.join() === fresh,
    )
  }
  for (const agent of ring.agents.values())
    await eventually(
      () => members(agent, 'serf'),
      rows => rows.filter(row => row.status === 'alive').length === 6,
      40_000,
    )
}, 180_000)

test('a restart keeps the grace time; without one, and after it, a member with the old key stays out', async () => {
  const [old, fresh] = [newKey(), newKey()]
  const { ring: owned, flags, keysOf, fileOf } = keyed('127.0.152', old)
  await using ring = owned
  const grace = 20_000
  const seed = await ring.start('muster', 'stays', 1, flags('stays', `-key-grace=${grace}ms`))
  await ring.start('muster', 'strict', 2, flags('strict', `-join=${seed.address}`))
  await until(seed, 'strict', 'alive')
  await rotate(seed, old, fresh)
  const endsAtMs = performance.now() + grace
  await seed.part.end('SIGKILL')
  const again = await ring.start('muster', 'stays', 1, flags('stays', `-key-grace=${grace}ms`))
  const late = (name: string, host: number, to: string) =>
    ring.start('muster', name, host, flags(name, `-join=${to}`, '-retry-interval=1s'))
  const outside = await late('outside', 3, ring.addressOf(2)) // the strict one
  await late('early', 4, again.address)
  await until(again, 'early', 'alive')
  await eventually(
    () => keysOf('early'),
    keys => keys.join() === fresh,
  )
  expect(await stands(again, 'outside')).toBeUndefined()
  expect(keysOf('outside')).toEqual([old])
  await outside.part.end('SIGKILL')

  await eventually(
    () => existsSync(`${fileOf('stays')}.retired`),
    isThere => !isThere && performance.now() > endsAtMs,
    grace + 10_000,
  )
  const tooLate = await late('too-late', 5, again.address)
  await eventually(
    () => tooLate.part.output,
    output => output.includes('nobody to join answers yet'),
  )
  expect(await stands(again, 'too-late')).toBeUndefined()
  expect(keysOf('too-late')).toEqual([old])
}, 120_000)
