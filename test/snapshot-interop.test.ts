/** A data directory changes hands: what a real Serf agent remembers, ours takes over, and the other way round. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, members, Ring, type RingAgent, serf } from './parts.ts'

type Kind = 'serf' | 'muster'
const other = (kind: Kind): Kind => (kind === 'serf' ? 'muster' : 'serf')

async function clocksOf(agent: RingAgent): Promise<{ member: number; event: number; query: number }> {
  const info = await serf(agent, 'info', '-format=json')
  const { serf: stats } = JSON.parse(info) as { serf: Record<string, string> }
  return {
    member: Number(stats['member_time']),
    event: Number(stats['event_time']),
    query: Number(stats['query_time']),
  }
}

async function alive(agent: RingAgent, names: readonly string[]): Promise<void> {
  await eventually(
    () => members(agent, 'serf'),
    rows => names.every(name => rows.some(row => row.name === name && row.status === 'alive')),
  )
}

for (const [at, first] of (['serf', 'muster'] as const).entries()) {
  test.concurrent(`the snapshot of a ${first} agent that was killed starts a ${other(first)} agent: it finds its peer, knows its clocks, hears no event twice`, {
    timeout: 120_000,
  }, async () => {
    await using ring = new Ring(`127.0.${77 + at}`, ['-profile=local'])
    const path = join(ring.directory, 'serf.snapshot')
    const peer = await ring.start(first, 'peer', 1)
    const before = await ring.start(first, 'keeper', 2, [`-snapshot=${path}`, `-join=${peer.address}`])
    await alive(before, ['peer', 'keeper'])
    for (const name of ['one', 'two', 'three']) await serf(peer, 'event', '-coalesce=false', name)
    await serf(peer, 'query', '-timeout=200ms', 'load')
    await eventually(
      () => serf(before, 'event', '-coalesce=false', 'tick').then(() => readFileSync(path, 'utf8')), // Serf writes with the next
      text => /^alive: peer /m.test(text) && /^event-clock: [3-9]/m.test(text) && /^query-clock: 1$/m.test(text),
      20_000,
      600,
    )
    const known = await clocksOf(before)
    await before.part.end('SIGKILL')

    const heard = join(ring.directory, 'heard')
    writeFileSync(heard, '')
    const handler = `-event-handler=user=echo "$SERF_USER_EVENT" >> ${heard}`
    const after = await ring.start(other(first), 'keeper', 2, [`-snapshot=${path}`, handler])
    await alive(after, ['peer', 'keeper'])
    await alive(peer, ['peer', 'keeper'])
    const now = await clocksOf(after)
    expect(now.member).toBeGreaterThanOrEqual(known.member)
    expect(now.event).toBeGreaterThanOrEqual(known.event - 1) // the last line may not have reached the disk
    expect(now.query).toBeGreaterThanOrEqual(known.query)
    await serf(peer, 'event', '-coalesce=false', 'fresh')
    await eventually(
      () => readFileSync(heard, 'utf8'),
      text => text.includes('fresh'),
    )
    expect(readFileSync(heard, 'utf8')).not.toMatch(/one|two|three/)
  })

  test.concurrent(`after a leave, the snapshot of a ${first} agent joins nobody under a ${other(first)} agent, unless told to rejoin`, {
    timeout: 120_000,
  }, async () => {
    await using ring = new Ring(`127.0.${79 + at}`, ['-profile=local'])
    const path = join(ring.directory, 'serf.snapshot')
    const peer = await ring.start('serf', 'peer', 1)
    const start = (kind: Kind, ...flags: string[]) =>
      ring.start(kind, 'keeper', 2, [`-snapshot=${path}`, '-rejoin', ...flags])
    const before = await start(first, `-join=${peer.address}`)
    await alive(before, ['peer', 'keeper'])
    await serf(before, 'leave')
    await before.part.exited
    expect(readFileSync(path, 'utf8')).toMatch(/^leave$/m)
    const after = await start(other(first))
    await alive(after, ['peer', 'keeper'])
    await serf(after, 'leave')
    await after.part.exited
    const alone = await ring.start(first, 'keeper', 2, [`-snapshot=${path}`])
    const second = await serf(alone, 'query', '-timeout=1s', 'anybody') // time enough to join, for one who would
    expect(second).toContain('Total Acks: 1')
    expect((await members(alone, 'serf')).map(({ name }) => name)).toEqual(['keeper'])
  })
}
