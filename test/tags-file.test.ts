/** A tags file goes from one make of agent to the other, byte for byte. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { members, Ring, type RingAgent, serf } from './parts.ts'

const MAKES = ['serf', 'muster'] as const

test('tags that were set while it ran are there after the next start, under either make, and in the same bytes', async () => {
  await using ring = new Ring('127.0.62')
  const written: Record<string, string> = {}
  for (const [host, kind] of MAKES.entries()) {
    const path = join(ring.directory, `${kind}.json`)
    const agent = await ring.start(kind, `${kind}-first`, 1 + host, [`-tags-file=${path}`])
    await serf(agent, 'tags', '-set', 'said=<over & rpc>', '-set', 'role=web')
    await serf(agent, 'tags', '-set', 'a=é', '-delete', 'role')
    written[kind] = readFileSync(path, 'utf8')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    for (const [at, next] of MAKES.entries()) {
      const started = await ring.start(next, `${kind}-${next}`, 10 * (1 + host) + at, [`-tags-file=${path}`])
      expect(await tagsOf(started)).toEqual({ said: '<over & rpc>', a: 'é' })
    }
  }
  expect(written['muster']).toBe(written['serf'])
}, 60_000)

test('a ring of both makes speaks the protocol that it is told, 4 for instance', async () => {
  await using ring = new Ring('127.0.63', ['-protocol=4'])
  for (const [host, kind] of MAKES.entries()) {
    const agent = await ring.start(kind, kind, 1 + host)
    const stdout = await serf(agent, 'members', '-detailed')
    expect(stdout).toContain('Protocol Version: 4')
  }
})

async function tagsOf(agent: RingAgent) {
  return (await members(agent, 'serf')).find(row => row.name === agent.name)?.tags
}
