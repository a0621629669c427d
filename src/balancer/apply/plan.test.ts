import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStructure } from '../file/config-structure.ts'
import { type Admin, type Command, commandLine, knownDown, type LiveServer, plan, type WantedServer } from './plan.ts'

const admin = fc.constantFrom<Admin>('ready', 'drain', 'maint')
const ip = fc.constantFrom('10.0.0.1', '10.0.0.2', '2001:db8::1')
const port = fc.constantFrom(80, 3000)
const weight = fc.integer({ min: 0, max: 256 })
const name = fc.constantFrom('web/slot1', 'web/slot2', 'web/slot3', 'api/slot1')
const live: fc.Arbitrary<LiveServer> = fc.record({ ip, port, weight, admin, maxconn: fc.constant(100) })
const wanted: fc.Arbitrary<WantedServer> = fc.record({
  ip,
  port,
  weight: fc.option(weight, { nil: undefined }),
  maxconn: fc.option(fc.constantFrom(100, 200), { nil: undefined }),
  admin: fc.option(admin, { nil: undefined }),
  entersByCheck: fc.boolean(),
})

/** HAProxy, as far as the commands go. An address that changes under traffic is what must never happen. */
function apply(servers: Map<string, LiveServer>, commands: readonly Command[], wants: Map<string, WantedServer>): void {
  for (const command of commands) {
    if (!('server' in command)) continue
    const server = servers.get(command.server) as LiveServer
    const isManaged = wants.get(command.server)?.admin !== undefined
    if (command.kind === 'state') servers.set(command.server, { ...server, admin: command.to })
    else if (command.kind === 'weight') servers.set(command.server, { ...server, weight: command.to })
    else if (command.kind === 'maxconn') servers.set(command.server, { ...server, maxconn: command.to })
    else if (command.kind === 'addr') {
      if (isManaged) expect(server.admin).toBe('maint')
      servers.set(command.server, { ...server, ip: command.ip, port: command.port })
    }
  }
}

test('applying the plan reaches what is wanted; planning again yields nothing', () => {
  fc.assert(
    fc.property(fc.dictionary(name, fc.tuple(live, wanted), { maxKeys: 4 }), pairs => {
      const servers = new Map(Object.entries(pairs).map(([key, [server]]) => [key, server]))
      const wants = new Map(Object.entries(pairs).map(([key, [, want]]) => [key, want]))
      const step = plan({ config: [], servers }, { config: [], servers: wants })
      if (step.kind === 'runtime') apply(servers, [...step.out, ...step.in], wants)
      expect(step.kind).not.toBe('reload')
      for (const [key, want] of wants) {
        const server = servers.get(key) as LiveServer
        expect([server.ip, server.port]).toEqual([want.ip, want.port])
        if (want.admin !== undefined) expect(server.admin).toBe(want.admin)
        if (want.weight !== undefined) expect(server.weight).toBe(want.weight)
      }
      expect(plan({ config: [], servers }, { config: [], servers: wants })).toEqual({ kind: 'nothing' })
    }),
  )
})

test('what takes out of traffic is in the part that goes before the file, what puts in comes after', () => {
  const servers = new Map<string, LiveServer>([
    ['web/slot1', { ip: '10.0.0.1', port: 80, weight: 1, admin: 'ready' }],
    ['web/slot2', { ip: '127.0.0.1', port: 1, weight: 1, admin: 'maint' }],
  ])
  const base = { weight: 1, maxconn: undefined }
  const wants = new Map<string, WantedServer>([
    ['web/slot1', { ...base, ip: '127.0.0.1', port: 1, admin: 'maint' }],
    ['web/slot2', { ...base, ip: '10.0.0.2', port: 80, admin: 'ready', entersByCheck: true }],
  ])
  const step = plan({ config: [], servers }, { config: [], servers: wants })
  const lines = step.kind === 'runtime' ? [step.out.map(commandLine), step.in.map(commandLine)] : []
  expect(lines).toEqual([
    ['set server web/slot1 state maint'],
    [
      'set server web/slot1 addr 127.0.0.1 port 1',
      'set server web/slot2 addr 10.0.0.2 port 80',
      'set server web/slot2 state ready',
      'set server web/slot2 health down',
    ],
  ])
})

test('a reload has its reasons in words; comments, spaces and quotes are not among them', () => {
  const before = parseStructure(
    'frontend www\n  bind :80\nbackend web\n balance leastconn\n server a 10.0.0.1:80 check\n',
  )
  const same = parseStructure(
    'frontend www # x\n\tbind   ":80"\nbackend web\n balance leastconn\n server a 10.0.0.2:81 check weight 3\n',
  )
  const other = parseStructure(
    'frontend www\n  bind :81\nbackend web\n balance leastconn\n server a 10.0.0.1:80 check inter 1s\n server b 10.0.0.2:80\n',
  )
  const reasonsOf = (config: typeof before) => {
    const step = plan({ config: before, servers: new Map() }, { config, servers: new Map() })
    return step.kind === 'reload' ? step.reasons : step.kind
  }
  expect(reasonsOf(same)).toBe('nothing')
  expect(reasonsOf(other)).toEqual([
    'frontend www: bind :81, bind :80 changed',
    'backend web: 1 server lines more',
    'backend web: settings of server a changed',
  ])
})

test('any text is read as some structure', () => {
  fc.assert(fc.property(fc.string(), text => void parseStructure(`backend x\n${text}`)))
})

test('a server that is known to be down is loaded as such also under another name', () => {
  const file = (names: readonly string[]) =>
    parseStructure(`backend web\n${names.map((one, at) => `  server ${one} 10.0.0.${at + 1}:80 check\n`).join('')}`)
  const ready = { port: 80, weight: 1, admin: 'ready' } as const
  const servers = new Map<string, LiveServer>([
    ['web/slot1', { ...ready, ip: '10.0.0.1', up: true }],
    ['web/slot2', { ...ready, ip: '10.0.0.2', up: false }],
    ['web/slot3', { ...ready, ip: '10.0.0.2', admin: 'maint', up: true }], // a free slot keeps its last address
  ])
  const want = { ip: undefined, port: undefined, weight: undefined, maxconn: undefined, admin: 'ready' } as const
  const running = { config: file(['slot1', 'slot2', 'slot3']), servers }
  const wanted = (first: Admin) => ({
    config: file(['web-1', 'web-2']),
    servers: new Map<string, WantedServer>([
      ['web/web-1', { ...want, admin: first }],
      ['web/web-2', want],
    ]),
  })
  expect(knownDown(running, wanted('ready'))).toEqual(['web/web-2'])
  expect(knownDown(running, wanted('drain')), 'nobody else is left').toEqual([])
})
