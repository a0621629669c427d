import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SLOTS_TEMPLATE } from './built-in-templates.ts'
import type { BalancerConfig } from '../config.ts'
import { parseStructure, serverLines } from './config-structure.ts'
import { Layout } from './layout.ts'
import { Roster } from '../pool/roster.ts'
import type { Server } from '../server.ts'
import { compileTemplate, type Render } from './template.ts'
import { wantedServers } from '../apply/wanted.ts'

const config: BalancerConfig = {
  template: 'slots',
  configPath: '/etc/haproxy.cfg',
  runDir: '/run/muster',
  frontends: { www: { bind: ':80', pool: 'web' }, db: { bind: ':5432', pool: 'db', mode: 'tcp' } },
  pools: { web: { sticky: 'cookie', maxconn: 50 }, api: { slots: 40 }, db: { mode: 'tcp', slots: 1 } },
  node: { name: 'lb-1', ip: '10.0.0.9' },
}

const server = fc.record<Server>({
  pool: fc.constantFrom('web', 'web', 'api', 'db', 'elsewhere'),
  name: fc.constantFrom('web-1', 'web-2', 'slot1', 'backend', 'server'),
  host: fc.constantFrom('web-1', 'web-2'),
  ip: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '2001:db8::1'),
  port: fc.constantFrom(3_000, 3_001),
  weight: fc.constantFrom(0, 1, 10, 256),
  state: fc.constantFrom('ready', 'ready', 'plain', 'draining'),
  liveness: fc.constantFrom('alive', 'alive', 'failed', 'left', 'withdrawn'),
})

const change = fc.record({
  servers: fc.array(server, { maxLength: 3 }),
  prove: fc.boolean(),
  all: fc.boolean(),
  failing: fc.constantFrom(undefined, '10.0.0.1:3000', '10.0.1.1:80'),
})

test('a file of which only the changed lines are rendered is the whole one, byte for byte, and so is all that follows from it', async () => {
  const drawn: number[] = []
  const compiled = await compileTemplate(SLOTS_TEMPLATE, 'slots')
  const render: Render = Object.assign(
    (data: Parameters<Render>[0]) => {
      drawn.push(data.pools.reduce((sum, { slots }) => sum + slots.length, 0))
      return compiled(data)
    },
    { usesSlots: true },
  )
  fc.assert(
    fc.property(fc.array(change, { minLength: 2, maxLength: 12 }), changes => {
      const roster = new Roster(false)
      const layout = new Layout(config, render, checks => 1_000 - checks)
      let wanted: readonly Server[] = FILLING
      for (const [nowMs, { servers, prove, all, failing }] of changes.entries()) {
        const kept = all
          ? []
          : wanted.filter(old => !servers.some(({ ip, port }) => ip === old.ip && port === old.port))
        wanted = [...kept, ...servers]
        roster.update(wanted, undefined, nowMs)
        if (prove) for (const { key } of roster.entries()) roster.prove(key)
        const { released } = roster.decide({ nowMs, joinedAtMs: 0, drainTimeoutMs: 1_000 })
        for (const entry of released) layout.release(entry)
        layout.seat(layout.own(roster))
        for (const entry of roster.entries()) entry.checksFail = entry.endpoint === failing
        const { text, structure, wanted: wantedNow } = layout.draw(roster)
        expect(text).toBe(layout.next(config, render).text(roster))
        expect(structure).toEqual(parseStructure(text))
        expect([...wantedNow]).toEqual([...wantedServers(structure, layout.placement(roster))])
        expect([...serverLines(structure)]).toEqual([...serverLines(parseStructure(text))])
      }
    }),
  )
  expect(drawn.filter(slots => slots < 20).length).toBeGreaterThan(100)
})

const FILLING: readonly Server[] = Array.from({ length: 20 }, (_, at) => ({
  ...{ pool: at % 2 === 0 ? 'web' : 'api', name: `fill-${at}`, host: `fill-${at}`, ip: `10.0.1.${at + 1}`, port: 80 },
  ...{ weight: 1, state: 'ready', liveness: 'alive' },
}))
