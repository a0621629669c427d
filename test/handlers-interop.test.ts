import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually, part, serf } from './parts.ts'
import { ask, linesOf, Tier } from './tier.ts'

/** The usual hand-made balancer: a `server` line per member, and a reload by hand. */
const JOIN = `#!/bin/bash
while read -a values; do
  [ "\${values[2]}" = backend ] || continue
  echo "  server \${values[0]} \${values[1]}:3000 check" >> "$DIR/haproxy.cfg"
done
"$HAPROXY" -D -f "$DIR/haproxy.cfg" -p "$DIR/haproxy.pid" -sf $(cat "$DIR/haproxy.pid" 2>/dev/null)
`
const LEAVE = `#!/bin/bash
while read -a values; do
  sed -i "/ server \${values[0]} /d" "$DIR/haproxy.cfg"
done
"$HAPROXY" -D -f "$DIR/haproxy.cfg" -p "$DIR/haproxy.pid" -sf $(cat "$DIR/haproxy.pid")
`
/** What handlers are told, a line per member. */
const TELL = `#!/bin/bash
while read -a values; do
  echo "$SERF_EVENT $SERF_SELF_ROLE $SERF_TAG_RACK \${values[@]}" >> "$DIR/$SERF_SELF_NAME.lines"
done
`

function script(tier: Tier, name: string, text: string): string {
  const path = join(tier.directory, name)
  writeFileSync(path, text)
  chmodSync(path, 0o755)
  return path
}

test('a Muster backend with its service is put into the configuration of a hand-made Serf balancer by its handlers, and taken out', async () => {
  await using tier = await Tier.open('127.0.44')
  const head = ['defaults', '  mode http', '  timeout connect 1s', '  timeout client 9s', '  timeout server 9s']
  const sections = [`listen web`, `  bind ${tier.ip(1)}:8080`]
  writeFileSync(join(tier.directory, 'haproxy.cfg'), `${[...head, ...sections].join('\n')}\n`)
  const joined = script(tier, 'joined.sh', JOIN)
  const left = script(tier, 'left.sh', LEAVE)
  const handlers = ['-event-handler', `member-join=${joined}`, '-event-handler', `member-leave,member-failed=${left}`]
  await tier.serf('lb', 1, handlers, { DIR: tier.directory, HAPROXY: part('haproxy') })
  const backend = tier.backend('web-1', 2, { node: { tags: { role: 'backend' } } })
  const servers = () => linesOf(join(tier.directory, 'haproxy.cfg')).filter(line => line.startsWith('  server'))
  await eventually(servers, lines => lines.join() === `  server web-1 ${tier.ip(2)}:3000 check`)
  await eventually(
    () => ask(tier.site),
    name => name === 'web-1',
  )
  await tier.signal('web-1', 'TERM')
  expect(await backend.part.exited).toBe(0)
  await eventually(servers, lines => lines.length === 0)
}, 120_000)

/** Serf tells tags in random order. */
function sortTags(line: string): string {
  const words = line.split(' ')
  return [...words.slice(0, -1), (words.at(-1) ?? '').split(',').sort().join()].join(' ')
}

test('handler scripts write the same lines under `muster agent` as under `serf agent`', async () => {
  await using tier = await Tier.open('127.0.45')
  const tell = script(tier, 'tell.sh', TELL)
  const tags = { role: 'lb', rack: 'r1' }
  const env = { DIR: tier.directory }
  const muster = tier.muster('under-muster', 1, { node: { tags }, event_handlers: [tell] }, env)
  await eventually(
    () => muster.status(),
    status => status.members.alive === 1,
  )
  const flags = ['-tag', 'role=lb', '-tag', 'rack=r1', '-event-handler', tell, '-join', tier.gossip(1)]
  await tier.serf('under-serf', 2, flags, env)
  const told = (by: string) =>
    linesOf(join(tier.directory, `${by}.lines`))
      .filter(line => line.includes(' guest '))
      .map(sortTags)
  const bothTold = async (count: number) => {
    for (const by of ['under-serf', 'under-muster'])
      await eventually(
        () => told(by),
        lines => lines.length >= count,
      )
  }
  const guestTags = ['role=web', 'my-Tag.x=v', 'note=one\ntwo\tthree', 'empty=']
  const guestFlags = guestTags.flatMap(tag => ['-tag', tag])
  const guest = await tier.serf('guest', 3, [...guestFlags, '-join', tier.gossip(1)])
  await bothTold(1)
  await serf(guest, 'tags', '-set', 'said=so', '-delete', 'note')
  await bothTold(2)
  await serf(guest, 'leave')
  await bothTold(3)
  const lines = told('under-serf')
  expect(lines.map(line => line.split(' ').slice(0, 6).join(' '))).toEqual(
    ['join', 'update', 'leave'].map(kind => `member-${kind} lb r1 guest ${tier.ip(3)} web`),
  )
  expect(told('under-muster')).toEqual(lines)
}, 120_000)
