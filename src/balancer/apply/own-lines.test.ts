import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../base/index.ts'
import { socketPaths } from '../config.ts'
import { openRuntimeSession } from '../drivers/runtime-socket.ts'
import { parseStructure, serverLines } from '../file/config-structure.ts'
import type { Receipt } from '../index.ts'
import { parseServersState, type ServerState } from '../state/runtime-state.ts'
import { endAll, freshPort, rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

const ORDER = { actor: 'operator', causes: [] }

/** A balancer whose template has servers of the user's own, and the HAProxy behind it. */
async function own(text: string) {
  const made = await rig({ reloadSpacingMs: 1 })
  const path = join(made.config.runDir, 'own.hbs')
  const balancer = await made.start()
  const command = async (line: string): Promise<string> => {
    const socket = await openRuntimeSession(socketPaths(made.config).admin, {
      timeoutMs: 2_000,
      clock: systemClock,
    })
    try {
      return await socket.command(line)
    } finally {
      socket.close()
    }
  }
  const apply = async (next: string): Promise<Receipt | undefined> => {
    await writeFile(path, whole(next, made.port))
    const receipt = await balancer.apply({ ...made.config, template: { path } }, ORDER)
    await balancer.settle()
    return receipt
  }
  const states = async (): Promise<Map<string, ServerState>> => parseServersState(await command('show servers state'))
  await apply(text)
  return { made, balancer, apply, command, states, rendered: whole(text, made.port) }
}

/** @param text in the middle: sections of one's own, `defaults` first */
function whole(text: string, port: number): string {
  return `global
  stats socket {{settings.adminSocket}} mode 600 level admin
defaults
${TIMES}
frontend www
  bind 127.0.21.1:${port}
  http-request return status 200
${text}`
}

const TIMES = '  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s'

test('of servers under a condition HAProxy alone knows which are there: none is moved, none is missed, a change is a reload', async () => {
  const text = (address: string) => `backend web
.if version_atleast(2.0)
  server a ${address}
.else
  server a 127.0.21.32:80
  server b 127.0.21.33:80
.endif
  server c 127.0.21.34:80
`
  const { balancer, apply, states } = await own(text('127.0.21.31:80'))
  expect((await states()).get('web/a')?.ip).toBe('127.0.21.31')
  expect(await balancer.plan()).toMatchObject({ method: 'nothing', reasons: [], commands: [] })
  const receipt = await apply(text('127.0.21.35:80'))
  expect(receipt).toMatchObject({ method: 'reload', reasons: ['backend web: server a changed'] })
  expect((await states()).get('web/a')?.ip).toBe('127.0.21.35')
  expect(await apply(text('127.0.21.35:80').replace('127.0.21.34', '127.0.21.36'))).toMatchObject({ method: 'runtime' })
})

test('one of ours under a condition is drained and let in again like any other', async () => {
  const { balancer, apply, states } = await own('backend web\n  server x 127.0.21.30:80\n')
  const { server } = await web('127.0.21.38')
  balancer.wanted([server])
  const line = '  {{#each servers}}\n  server {{server}} {{address}} check\n  {{/each}}\n'
  await apply(`{{#each pools}}
backend {{name}}
.if version_atleast(2.0)
${line}.else
${line}  server never 127.0.21.39:80
.endif
{{/each}}
`)
  const key = `web/${server.name}`
  const isNow = (admin: string) => async () => (await states()).get(key)?.admin === admin
  await until(isNow('ready'))
  const { reloads } = balancer.status()
  balancer.wanted([{ ...server, state: 'draining' }])
  await until(isNow('drain'))
  balancer.wanted([server])
  await until(isNow('ready'))
  await balancer.settle()
  expect(balancer.status().reloads).toBe(reloads)
  expect(await balancer.plan()).toMatchObject({ method: 'nothing', commands: [] })
})

test('what a user writes of a server of his own is applied: disabled, enabled, with a weight and without', async () => {
  const text = (words: string) => `backend web\n  server a 127.0.21.31:80${words}\n  server b 127.0.21.32:80\n`
  const { balancer, apply, states } = await own(text(' weight 7'))
  for (const words of ['', ' weight 9', ' weight 9 disabled', ' weight 9', ' disabled weight 5', '']) {
    await apply(text(words))
    const { admin, weight } = (await states()).get('web/a') as ServerState
    const wanted = {
      admin: words.includes('disabled') ? 'maint' : 'ready',
      weight: Number(/\d+/.exec(words)?.[0] ?? 1),
    }
    expect({ words, admin, weight }).toEqual({ words, ...wanted })
    expect(await balancer.plan()).toMatchObject({ method: 'nothing' })
  }
})

test('servers of rings and peers are no servers of the backend above them, and change by a reload', async () => {
  const text = (port: number) => `backend web
  server a 127.0.21.31:80
ring logs
  format rfc5424
  timeout connect 1s
  timeout server 1s
  server s 127.0.21.1:${port}
peers others
  bind 127.0.21.1:${peersPort}
  server other
  server elsewhere 127.0.21.37:${port}
`
  const peersPort = freshPort()
  const { balancer, apply } = await own(text(1_514))
  expect(await balancer.plan()).toMatchObject({ method: 'nothing', reasons: [] })
  expect(await apply(text(1_515))).toMatchObject({
    method: 'reload',
    reasons: ['ring logs: server s changed', 'peers others: server elsewhere changed'],
  })
})

/** Ways to write an address, and ways to be checked or not. */
const KINDS = `defaults named
${TIMES}
  default-server check inter 1s
defaults below from named
  default-server inter 2s
defaults from below
  default-server agent-port 1
defaults last
${TIMES}
  default-server no-check
backend of-named from named
  server a [::FFFF:7f00:1]:80
  server b [0:0::1]:80 no-check
  server c 127.0.21.31:80 no-check check
backend of-below from below
  server a [2001:DB8:0:0::1]:80
backend of-last
  server a [::102:304]:80
  server b [1:0:0:2:0:0:0:3]:80
  server c [64:ff9b::1.2.3.4]:80 check
  default-server check
  server d [1:0:2:3:4:5:6:7]:80
listen from
  bind 127.0.21.1:PORT
  server a [::1:2]:80
  default-server check
  server b [1::2:3:0:0:4]:80
`

test('every line is read as HAProxy reads it: its address, and whether it is checked, which defaults and their heirs may say', async () => {
  const { balancer, command, states, rendered } = await own(KINDS.replace('PORT', String(freshPort())))
  const checked = new Map(
    (await command('show stat -1 4 -1')).split('\n').map(row => {
      const cells = row.split(',')
      return [`${cells[0]}/${cells[1]}`, cells[17] !== 'no check']
    }),
  )
  const live = await states()
  const lines = [...serverLines(parseStructure(rendered))]
  expect(lines.map(([key, { ip, checked: isChecked }]) => [key, ip, isChecked])).toEqual(
    lines.map(([key]) => [key, live.get(key)?.ip, checked.get(key)]),
  )
  expect(lines).toHaveLength(10)
  expect(await balancer.plan()).toMatchObject({ method: 'nothing', commands: [] })
})

test('the weight of a user’s own server with agent-check is what its agent says, and nobody else', async () => {
  const agent = createServer(socket => socket.on('error', () => undefined).end('50%\n')) // HAProxy resets it
  const port = freshPort()
  await new Promise<void>(resolve => agent.listen(port, '127.0.21.1', resolve))
  try {
    const check = `agent-check agent-addr 127.0.21.1 agent-port ${port} agent-inter 50ms`
    const text = (weight: number) => `backend web
  server a 127.0.21.31:80 weight ${weight} ${check}
  default-server ${check}
  server b 127.0.21.32:80 weight ${weight}
`
    const { balancer, apply, states } = await own(text(40))
    const halved = async (weight: number) => {
      const live = await states()
      return ['web/a', 'web/b'].every(key => live.get(key)?.weight === weight)
    }
    await until(() => halved(20))
    expect(await balancer.plan()).toMatchObject({ method: 'nothing', commands: [] })
    expect(await apply(text(60))).toMatchObject({ method: 'reload' })
    await until(() => halved(30))
  } finally {
    agent.close()
  }
})

test('a key of dynamic cookies is told to HAProxy where it is the only one of a backend; any other takes a reload', async () => {
  const text = (defaults: string, ...keys: readonly string[]) => `defaults keyed
${TIMES}
  dynamic-cookie-key ${defaults}
backend web
  cookie SRV insert indirect dynamic
${keys.map(key => `  dynamic-cookie-key ${key}\n`).join('')}  server a 127.0.21.31:80
`
  const { apply } = await own(text('a', 'b'))
  const commands = ['set dynamic-cookie-key backend web c']
  expect(await apply(text('a', 'c'))).toMatchObject({ method: 'runtime', commands })
  expect(await apply(text('d', 'c'))).toMatchObject({ method: 'reload' })
  expect(await apply(text('d', 'c', 'e'))).toMatchObject({ method: 'reload' })
  expect(await apply(text('d', 'c', 'f'))).toMatchObject({ method: 'reload' })
  expect(await apply(text('d', 'f'))).toMatchObject({ method: 'reload' })
})
