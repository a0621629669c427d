import { expect, test } from 'vitest'
import { eventually, type MemberRow, members, Ring, type RingAgent, serf } from './parts.ts'

const KEY = 'AAECAwQFBgcICQoLDA0ODw=='
type Start = readonly ['serf' | 'muster', string]
const orders: readonly (readonly Start[])[] = [
  [
    ['serf', 's1'],
    ['muster', 'm1'],
    ['serf', 's2'],
    ['muster', 'm2'],
  ],
  [
    ['muster', 'm1'],
    ['serf', 's1'],
    ['muster', 'm2'],
    ['serf', 's2'],
  ],
  [
    ['serf', 's1'],
    ['serf', 's2'],
    ['muster', 'm1'],
    ['muster', 'm2'],
  ],
  [
    ['muster', 'm1'],
    ['muster', 'm2'],
    ['serf', 's1'],
    ['serf', 's2'],
  ],
]
const HOSTS: Readonly<Record<string, number>> = { s1: 1, s2: 2, m1: 3, m2: 4 }

/** Both commands at every living agent print the same, and it is what `isGood` wants. */
async function allAgree(ring: Ring, living: readonly string[], isGood: (rows: MemberRow[]) => boolean): Promise<void> {
  await eventually(
    async () => {
      const agents = living.map(name => ring.agents.get(name) as RingAgent)
      return await Promise.all(agents.flatMap(agent => [members(agent, 'serf'), members(agent, 'muster')]))
    },
    views => views.every(rows => isGood(rows) && JSON.stringify(rows) === JSON.stringify(views[0])),
    60_000,
    500, // each look starts eight programs
  )
}

const statusOf = (rows: readonly MemberRow[], name: string) => rows.find(row => row.name === name)?.status
const ALL = ['s1', 's2', 'm1', 'm2']

/** One of each make starts again and joins this one; then all four are alive. */
async function comeBack(ring: Ring, joined: string): Promise<void> {
  const flags = ['-tag=role=web', `-join=${ring.addressOf(HOSTS[joined] as number)}`]
  await ring.start('serf', 's2', HOSTS['s2'] as number, flags)
  await ring.start('muster', 'm2', HOSTS['m2'] as number, flags)
  await allAgree(ring, ALL, rows => rows.length === 4 && rows.every(row => row.status === 'alive'))
}

const rings = orders.flatMap(order => [false, true].map(isEncrypted => ({ order, isEncrypted })))

for (const [at, { order, isEncrypted }] of rings.entries()) {
  const title = order.map(([, name]) => name).join(', ')
  test.concurrent(`Serf and Muster agree in one ring, started ${title}${isEncrypted ? ', encrypted' : ''}`, {
    timeout: 240_000,
  }, async () => {
    await using ring = new Ring(`127.0.3${at}`, isEncrypted ? [`-encrypt=${KEY}`] : [])
    let first: RingAgent | undefined
    for (const [kind, name] of order) {
      const join = first === undefined ? [] : [`-join=${first.address}`]
      const agent = await ring.start(kind, name, HOSTS[name] as number, ['-tag=role=web', ...join])
      first ??= agent
    }
    await allAgree(ring, ALL, rows => rows.length === 4 && rows.every(row => row.status === 'alive'))

    for (const name of ALL) await serf(ring.agents.get(name) as RingAgent, 'tags', '-set', `said=${name}`)
    await allAgree(ring, ALL, rows => rows.every(row => row.tags['said'] === row.name))

    await Promise.all(['s2', 'm2'].map(name => serf(ring.agents.get(name) as RingAgent, 'leave')))
    const isLeft = (rows: MemberRow[]) => statusOf(rows, 's2') === 'left' && statusOf(rows, 'm2') === 'left'
    await allAgree(ring, ['s1', 'm1'], isLeft)
    expect(await Promise.all(['s2', 'm2'].map(async name => await ring.agents.get(name)?.part.exited))).toEqual([0, 0])

    await comeBack(ring, 'm1')

    await Promise.all(['s2', 'm2'].map(async name => await ring.agents.get(name)?.part.end('SIGKILL')))
    const isFailed = (rows: MemberRow[]) => statusOf(rows, 's2') === 'failed' && statusOf(rows, 'm2') === 'failed'
    await allAgree(ring, ['s1', 'm1'], isFailed)

    await comeBack(ring, 's1')
  })
}
