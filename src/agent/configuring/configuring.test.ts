import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Order, type Outlook, PlanStaleError } from '../../balancer/index.ts'
import { silentLog } from '../../base/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import type { Balancing } from '../balancing.ts'
import { type AgentConfig, loadConfig } from '../config/index.ts'
import { Configuring } from './configuring.ts'
import { GenerationFiles } from '../drivers/generation-files.ts'
import { Generations } from './generations.ts'
import type { Journaling } from '../journal/journaling.ts'
import type { HostServices } from '../services/services.ts'

let directory: string

beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'configuring-'))))
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const OUTLOOK: Outlook = { id: '0123456789ab', method: 'reload', reasons: [], commands: [], before: '', after: '' }

/** The configuration of a site whose servers may take so long. */
function siteWith(server: string): AgentConfig {
  const path = join(directory, 'muster.yaml')
  writeFileSync(path, JSON.stringify({ balancer: { pools: { web: { timeouts: { server } } } } }))
  return loadConfig({ files: [{ kind: 'file', path }] })
}

/** A balancer that takes everything, but for plans that are out of date; it writes down what it was asked for. */
class Site {
  readonly orders: Order[] = []
  readonly generations = new Generations(new GenerationFiles(directory), { clock: new VirtualClock(), log: silentLog })
  written = siteWith('30s')
  configuring!: Configuring

  /** As an agent that is started anew. */
  async start(): Promise<this> {
    const { generations } = this
    await generations.load()
    const balancing = {
      plan: () => Promise.resolve(OUTLOOK),
      apply: (_: unknown, order: Order) => {
        if (order.expected !== undefined && order.expected !== OUTLOOK.id) throw new PlanStaleError(order.expected)
        this.orders.push(order)
        return Promise.resolve(undefined)
      },
    }
    this.configuring = new Configuring({
      ...{ config: this.written, read: () => this.written, generations, log: silentLog },
      balancing: balancing as unknown as Balancing,
      journal: { command: () => undefined } as unknown as Journaling,
      services: { outlook: () => [] } as unknown as HostServices,
      takeOver: () => Promise.resolve(),
      assertTakable: () => undefined,
    })
    return this
  }
}

test('a plan that is out of date says nothing about the configuration', async () => {
  const { configuring } = await new Site().start()
  await expect(configuring.apply({ actor: 'operator', plan: '123' })).rejects.toThrow(PlanStaleError)
  expect(configuring.warnings()).toEqual([])
})

test('after a rollback a plan, and the receipt of an apply, name the settings that were gone back from', async () => {
  const site = await new Site().start()
  const { balancer, origin } = site.written
  if (balancer === undefined) throw new Error('no balancer')
  await site.generations.record(balancer, 'start', origin?.settings.balancer)
  site.written = siteWith('12s')
  const path = 'balancer.pools.web.timeouts.server'
  const changed = { path, from: 30_000, to: 12_000, where: expect.stringContaining('muster.yaml:') as unknown }
  expect((await site.configuring.apply({ actor: 'operator' })).plan.settings).toEqual([changed])
  await site.configuring.rollback({ actor: 'operator' })
  expect((await site.configuring.plan()).settings).toEqual([changed])
  const again = await site.start() // nothing but what is on disk tells by now
  expect((await again.configuring.plan()).settings).toEqual([changed])
  await again.configuring.apply({ actor: 'operator' })
  expect(again.orders.at(-1)?.causes.at(-1)?.configuration).toContain(path)
  expect((await again.configuring.plan()).settings).toEqual([])
})
