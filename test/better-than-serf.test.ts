/** What Serf's users ask for: each scenario with a real Serf agent beside ours, which does what they complain of. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { seededRandom, silentLog, systemClock } from '../src/base/index.ts'
import { startSerf } from '../src/serf/index.ts'
import { eventually, members, Part, part, Ring, type RingAgent, serf } from './parts.ts'
import { linesOf } from './tier.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const deps = { clock: systemClock, random: seededRandom(5), log: silentLog }

/** A handler that notes each event of a member. */
function noting(ring: Ring): string {
  const path = join(ring.directory, 'note.sh')
  const text = `#!/bin/bash\nwhile read -a values; do echo "$SERF_EVENT \${values[0]}" >> "$0.$SERF_SELF_NAME"; done\n`
  writeFileSync(path, text)
  chmodSync(path, 0o755)
  return path
}

test('a handler hears of a member that left and came back within a second (serf#393, serf#465)', async () => {
  await using ring = new Ring('127.0.141', ['-profile=local'])
  const handler = noting(ring)
  const flags = [`-event-handler=member-join,member-leave=${handler}`]
  const real = await ring.start('serf', 'real', 1, flags)
  const ours = await ring.start('muster', 'ours', 2, [...flags, `-join=${real.address}`])
  const heardBy = (name: string) => linesOf(`${handler}.${name}`).filter(line => line.endsWith(' blinks'))
  const blinker = () =>
    startSerf(
      { name: 'blinks', bind: { ip: '127.0.141.3', port: 7946 }, profile: 'local', tags: {}, leavePropagateDelayMs: 0 },
      deps,
    )
  const first = await blinker()
  await first.join([real.address, ours.address])
  for (const name of ['real', 'ours'])
    await eventually(
      () => heardBy(name),
      lines => lines.join() === 'member-join blinks',
    )
  await first.leave()
  await first.stop()
  await using second = await blinker()
  await second.join([real.address, ours.address])
  await eventually(
    () => heardBy('ours'),
    lines => lines.join() === 'member-join blinks,member-leave blinks,member-join blinks',
  )
  await eventually(
    () => members(real, 'serf'),
    rows => rows.some(row => row.name === 'blinks' && row.status === 'alive'),
  )
  await new Promise(done => setTimeout(done, 3_500)) // Serf's handlers have whatever they get after 3 s
  expect(heardBy('real')).toEqual(['member-join blinks']) // it has merged the leave and the join into nothing
}, 60_000)

test('a slow handler delays no other; in Serf everything waits for it', async () => {
  await using ring = new Ring('127.0.154', ['-profile=local'])
  const released = join(ring.directory, 'released')
  const note = (word: string) => `echo ${word} >> ${ring.directory}/$SERF_SELF_NAME`
  const waits = `i=0; while [ ! -e ${released} ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done` // 30 s, were it forgotten
  const slow = `${note('began')}; ${waits}; ${note('ended')}`
  const flags = [`-event-handler=user:slow=${slow}`, `-event-handler=user:quick=${note('quick')}`]
  const agents = {
    serf: await ring.start('serf', 'real', 1, flags),
    muster: await ring.start('muster', 'ours', 2, flags),
  }
  const heardBy = (name: string) => linesOf(join(ring.directory, name))
  for (const [agent, name] of [
    [agents.serf, 'real'],
    [agents.muster, 'ours'],
  ] as const) {
    await serf(agent, 'event', '-coalesce=false', 'slow')
    await eventually(
      () => heardBy(name),
      lines => lines.join() === 'began',
    )
    await serf(agent, 'event', '-coalesce=false', 'quick')
  }
  await eventually(
    () => heardBy('ours'),
    lines => lines.join() === 'began,quick',
  )
  await new Promise(done => setTimeout(done, 2_000)) // time enough for Serf, too
  expect(heardBy('real')).toEqual(['began'])
  writeFileSync(released, '')
  for (const [name, lines] of [
    ['real', 'began,ended,quick'],
    ['ours', 'began,quick,ended'],
  ] as const)
    await eventually(
      () => heardBy(name),
      found => found.join() === lines,
    )
}, 60_000)

test('a newcomer of the same name alone does not shut down the older node', async () => {
  await using theirs = new Ring('127.0.142', ['-profile=local'])
  const [older] = [await theirs.start('serf', 'twin', 1)]
  const newcomer = await theirs.start('serf', 'twin', 2, ['-join', older.address]) // as it stands: this one shall end
  expect(await Promise.all([older.part.exited, newcomer.part.exited])).toEqual([0, 0]) // Serf: both are gone

  await using ours = new Ring('127.0.143', ['-profile=local'])
  const first = await ours.start('muster', 'twin', 1)
  const second = new Part([
    part('serf'),
    'agent',
    '-node=twin',
    '-bind=127.0.143.2:7946',
    '-rpc-addr=127.0.143.2:7373',
    '-profile=local',
    `-join=${first.address}`,
  ])
  expect(await second.exited).toBe(0) // the newcomer, a real one, gives up
  await eventually(
    () => first.part.output,
    output => output.includes('nobody else can say whose it is; we keep it'),
  )
  const rows = await members(first, 'serf')
  expect(rows.map(({ name, addr, status }) => ({ name, addr, status }))).toEqual([
    { name: 'twin', addr: first.address, status: 'alive' },
  ])
}, 60_000)

test('a container that is back with its name and a new address is taken in at once; a thief of a living name is not', async () => {
  await using ring = new Ring('127.0.146', ['-profile=local'])
  const real = await ring.start('serf', 'real', 1)
  const ours = await ring.start('muster', 'ours', 2, [`-join=${real.address}`])
  await ring.start('muster', 'also', 3, [`-join=${real.address}`])
  const first = await ring.start('muster', 'c', 10, [`-join=${ours.address}`])
  const addressSeenBy = async (agent: RingAgent) =>
    (await members(agent, 'serf')).filter(row => row.name === 'c').map(row => `${row.addr} ${row.status}`)
  for (const agent of [real, ours])
    await eventually(
      () => addressSeenBy(agent),
      rows => rows.join() === `${first.address} alive`,
    )
  const thief = await ring.start('muster', 'c', 11, [`-join=${ours.address}`])
  await eventually(
    () => thief.part.output,
    output => output.includes('another node holds our name'),
  )
  expect(await addressSeenBy(ours)).toEqual([`${first.address} alive`])
  await thief.part.end('SIGKILL')
  await first.part.end('SIGKILL')
  const back = await ring.start('muster', 'c', 12, [`-join=${ours.address}`])
  await eventually(
    () => addressSeenBy(ours),
    rows => rows.join() === `${back.address} alive`,
  )
  expect((await addressSeenBy(real))[0]).toMatch(`${first.address} `) // Serf keeps the dead one until it is reaped
  await new Promise(done => setTimeout(done, 6_000)) // the vote is over
  expect(back.part.output).not.toContain('another node holds our name')
  expect(await addressSeenBy(ours)).toEqual([`${back.address} alive`])
}, 90_000)

test('a ring whose seed is gone for good forms again after all have been off, whoever starts first (serf#333)', async () => {
  for (const [at, kind] of (['serf', 'muster'] as const).entries()) {
    await using ring = new Ring(`127.0.${147 + at}`, ['-profile=local'])
    const seed = await ring.start(kind, 'seed', 1)
    const flags = (name: string) => [`-snapshot=${join(ring.directory, name)}`]
    for (const [name, host] of [
      ['a', 2],
      ['b', 3],
    ] as const)
      await ring.start(kind, name, host, [...flags(name), `-join=${seed.address}`])
    for (const name of ['a', 'b'])
      await eventually(
        () => members(ring.agents.get(name) as RingAgent, 'serf'),
        rows => rows.length === 3,
      )
    await eventually(
      () =>
        serf(ring.agents.get('a') as RingAgent, 'event', '-coalesce=false', 'tick').then(() =>
          linesOf(join(ring.directory, 'a')),
        ), // Serf writes with the next
      lines => ['seed', 'b'].every(name => lines.some(line => line.startsWith(`alive: ${name} `))),
      20_000,
      600,
    )
    await Promise.all([...ring.agents.values()].map(agent => agent.part.end('SIGKILL')))
    const a = await ring.start(kind, 'a', 2, flags('a')) // tries b and the seed, who are not there yet
    await eventually(
      () => a.part.output,
      output => /no peer of the snapshot answered|Failed to re-join any previously known node/.test(output),
    )
    const lonely = await ring.start(kind, 'b', 3) // without its snapshot: it knows nobody
    const found = async () => {
      await eventually(
        () => members(lonely, 'serf'),
        rows => rows.filter(row => row.status === 'alive').length === 2,
        8_000,
      )
      return true
    }
    expect(await found().catch(() => false)).toBe(kind === 'muster')
  }
}, 90_000)

test('a monitor that was away goes on after the last index it has printed, without a gap; a Serf monitor has lost it', async () => {
  await using ring = new Ring('127.0.149', ['-profile=local'])
  const ours = await ring.start('muster', 'ours', 1)
  const socket = join(ring.directory, 'ours.1/r/agent.sock')
  const follow = (since: string) =>
    new Part([process.execPath, MUSTER, 'monitor', `-since=${since}`, `-socket=${socket}`, '-o', 'json'])
  const events = (monitor: Part) =>
    monitor.output
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line) as { index: number; payload?: string })
  const send = (version: string) => serf(ours, 'event', '-coalesce=false', 'deploy', version)
  const serfMonitor = () => new Part([part('serf'), 'monitor', '-log-level=debug', `-rpc-addr=${ours.rpc}`])
  const [before, theirs] = [follow('0'), serfMonitor()]
  await eventually(
    () => theirs.output,
    output => output.includes('[DEBUG]'),
  )
  await send('v1')
  await eventually(
    () => events(before),
    list => list.at(-1)?.payload === 'v1',
  )
  const seen = events(before).at(-1)?.index ?? 0
  await Promise.all([before.end('SIGKILL'), theirs.end('SIGKILL')])
  await send('v2') // nobody listens
  const after = follow(String(seen))
  const theirsAgain = serfMonitor()
  await eventually(
    () => theirsAgain.output,
    output => output.includes('[DEBUG]'),
  )
  await send('v3')
  await eventually(
    () => events(after),
    list => list.at(-1)?.payload === 'v3',
  )
  expect(events(after).map(event => event.payload)).toEqual(['v2', 'v3'])
  await eventually(
    () => theirsAgain.output,
    output => output.includes('Event Info'),
  )
  expect(theirsAgain.output.match(/Event Info/g)).toHaveLength(1) // of v3
  await Promise.all([after.end('SIGKILL'), theirsAgain.end('SIGKILL')])
}, 60_000)

test('a node that was down while the key was changed: it, the ring and doctor each say so in a line (serf#579)', async () => {
  const key = () => randomBytes(16).toString('base64')
  const [old, fresh] = [key(), key()]
  await using ring = new Ring('127.0.150', ['-profile=local'])
  const flags = (name: string) => {
    const path = join(ring.directory, `${name}.keyring`)
    if (!existsSync(path)) writeFileSync(path, JSON.stringify([old]))
    return [`-keyring-file=${path}`]
  }
  const seed = await ring.start('muster', 'stays', 1, flags('stays'))
  const away = () => ring.start('muster', 'away', 2, [...flags('away'), `-join=${seed.address}`])
  const before = await away()
  await ring.start('serf', 'real', 3, [...flags('real'), `-join=${seed.address}`])
  await eventually(
    () => members(seed, 'serf'),
    rows => rows.length === 3,
  )
  await before.part.end('SIGKILL')
  await eventually(
    () => members(seed, 'serf'),
    rows => rows.some(row => row.name === 'away' && row.status === 'failed'),
    30_000,
  )
  for (const [flag, which] of [
    ['-install', fresh],
    ['-use', fresh],
    ['-remove', old],
  ] as const)
    await eventually(
      () => serf(seed, 'keys', flag, which), // an answer is one packet, and can be lost
      () => true,
    )
  const back = await away()
  const says = /encrypted with a key that this node does not have.*To heal: put the key of the ring first/
  await eventually(
    () => [seed.part.output, back.part.output],
    outputs => outputs.every(output => says.test(output)),
  )
  expect(ring.agents.get('real')?.part.output).not.toMatch(/heal|keys -list/) // Serf: only that decrypting failed, for ever
  const socket = join(ring.directory, 'stays.1/r/agent.sock')
  const doctor = new Part([process.execPath, MUSTER, 'doctor', `-socket=${socket}`])
  expect(await doctor.exited).toBe(1)
  expect(doctor.output).toContain('speaks with a key that this node does not have')
}, 90_000)

test('a member that flaps makes event after event in Serf; here it is held back, and members -detailed says how often (serf#269)', async () => {
  await using ring = new Ring('127.0.153', ['-profile=local'])
  const handler = noting(ring)
  const flags = [`-event-handler=member-join,member-failed=${handler}`]
  const real = await ring.start('serf', 'real', 1, flags)
  const ours = await ring.start('muster', 'ours', 2, [...flags, `-join=${real.address}`])
  const flapper = await ring.start('serf', 'flaps', 3, [`-join=${real.address}`])
  const until = (agent: RingAgent, status: string) =>
    eventually(
      () => members(agent, 'serf'),
      rows => rows.some(row => row.name === 'flaps' && row.status === status),
      60_000,
    )
  await Promise.all([until(real, 'alive'), until(ours, 'alive')])
  const heardBy = (name: string, event: string) =>
    linesOf(`${handler}.${name}`).filter(line => line === `${event} flaps`).length
  const heard = (event: string, times: number) =>
    eventually(
      () => heardBy('real', event),
      found => found === times,
      30_000,
    )
  await heard('member-join', 1)
  for (let flap = 1; flap <= FLAPS; flap++) {
    flapper.part.child.kill('SIGSTOP')
    await Promise.all([heard('member-failed', flap), until(ours, 'failed')])
    flapper.part.child.kill('SIGCONT')
    await heard('member-join', flap + 1) // in Serf each time, and so it would be for ever
  }
  expect(heardBy('ours', 'member-join')).toBeLessThan(FLAPS)
  expect((await members(ours, 'serf')).find(row => row.name === 'flaps')?.status).toBe('failed') // it answers again, and has to stay
  const detailed = new Part([process.execPath, MUSTER, 'members', '-detailed', '-name=flaps', `-rpc-addr=${ours.rpc}`])
  expect(await detailed.exited).toBe(0)
  expect(detailed.output).toMatch(/Flaps: [3-5], held back/)
  await until(ours, 'alive') // it has stayed
}, 180_000)

/** Half of one is forgotten after a minute; the fourth in a row is one too many. */
const FLAPS = 6
