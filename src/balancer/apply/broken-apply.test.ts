import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { messageOf } from '../../base/index.ts'
import { HaproxyControl } from '../drivers/haproxy-control.ts'
import { RuntimeSocketError, UnknownReplyError } from '../errors.ts'
import type { Balancer, BalancerConfig, Server } from '../index.ts'
import { endAll, get, rig, type Rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

/** What goes wrong at one step. */
const BREAKS = [
  'killed before it',
  'killed during it',
  'done, and no answer',
  'done, and garbage answered',
  'disk full',
] as const
type Break = (typeof BREAKS)[number]

/** Counts the steps of an apply, and breaks one of them. */
class BreakingControl extends HaproxyControl {
  kill: () => void = () => undefined
  steps: string[] = []
  plan: { readonly at: number; readonly how: Break } | undefined

  override look(...given: Parameters<HaproxyControl['look']>) {
    return this.#step('look', () => super.look(...given))
  }
  override send(...given: Parameters<HaproxyControl['send']>) {
    return given[0].length === 0 ? super.send(...given) : this.#step('send', () => super.send(...given))
  }
  override check(...given: Parameters<HaproxyControl['check']>) {
    return this.#step('check', () => super.check(...given), true)
  }
  override write(...given: Parameters<HaproxyControl['write']>) {
    return given[0] === this.fileText ? super.write(...given) : this.#step('write', () => super.write(...given), true)
  }
  override install(...given: Parameters<HaproxyControl['install']>) {
    return this.#step('install', () => super.install(...given), true)
  }
  override reload(...given: Parameters<HaproxyControl['reload']>) {
    return this.#step('reload', () => super.reload(...given))
  }

  async #step<T>(name: string, work: () => Promise<T>, isWrite = false): Promise<T> {
    const { plan } = this
    const isIt = plan?.at === this.steps.length
    this.steps.push(name)
    if (!isIt) return work()
    this.plan = undefined
    if (plan.how === 'disk full' && isWrite) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
    if (plan.how === 'killed before it') this.kill()
    const working = work()
    if (plan.how === 'killed during it') this.kill()
    const done = await working
    if (plan.how === 'done, and no answer') throw new RuntimeSocketError('no answer within 2000 ms')
    if (plan.how === 'done, and garbage answered') throw new UnknownReplyError('HAProxy answered "?"')
    return done
  }
}

interface World {
  readonly made: Rig
  readonly balancer: Balancer
  readonly control: BreakingControl
  readonly servers: readonly [Server, Server, Server]
}

async function world(template: 'slots' | 'named'): Promise<World> {
  let control: BreakingControl | undefined
  const makeControl = (...parts: ConstructorParameters<typeof HaproxyControl>) =>
    (control = new BreakingControl(...parts))
  const made = await rig({ template, reloadSpacingMs: 1 }, { makeControl })
  const balancer = await made.start()
  if (control === undefined) throw new Error('no control was made')
  control.kill = () => {
    const pids = [made.supervise.pid, balancer.status().haproxy.workerPid]
    for (const pid of pids) if (pid !== undefined) endProcess(pid)
  }
  const [a, b, c] = [await web('127.0.21.2'), await web('127.0.21.3'), await web('127.0.21.4')]
  return { made, balancer, control, servers: [a.server, b.server, c.server] }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it is gone already
  }
}

/** A change, and how it is taken back. */
const CHANGES: readonly {
  readonly name: string
  readonly make: (world: World) => Promise<unknown>
  readonly undo: (world: World) => Promise<unknown>
  readonly isThere: (world: World, names: readonly string[]) => boolean
}[] = [
  {
    name: 'a server comes',
    make: async ({ balancer, servers: [a, b, c] }) => balancer.wanted([a, b, c]),
    undo: async ({ balancer, servers: [a, b, c] }) => balancer.wanted([a, b, { ...c, liveness: 'left' }]),
    isThere: (_, names) => names.length === 3,
  },
  {
    name: 'a server goes',
    make: async ({ balancer, servers: [a, b] }) => balancer.wanted([a, { ...b, liveness: 'left' }]),
    undo: async ({ balancer, servers: [a, b] }) => balancer.wanted([a, b]),
    isThere: (_, names) => names.length === 1,
  },
  {
    name: 'another configuration is applied',
    make: async world => world.balancer.apply(changed(world.made.config), ORDER).catch(messageOf),
    undo: async ({ balancer, made }) => balancer.apply(made.config, ORDER),
    isThere: (_, names) => names.length === 2,
  },
]

const ORDER = { actor: 'operator', causes: [] }
const run = promisify(execFile)

function changed(config: BalancerConfig): BalancerConfig {
  return { ...config, pools: { web: { timeoutServerMs: 11_000 } } }
}

function readyIn({ balancer }: World): string[] {
  const servers = balancer.status().pools[0]?.servers ?? []
  return servers.filter(({ state }) => state === 'ready').map(({ name }) => name)
}

/** In force as it should be: the balancer says so, HAProxy serves, and another look finds nothing to do. */
async function isWhole(world: World, isThere: (world: World, names: readonly string[]) => boolean): Promise<boolean> {
  const { balancer, made } = world
  if (!isThere(world, readyIn(world)) || balancer.status().problem !== undefined) return false
  const { method } = await balancer.plan().catch(() => ({ method: 'unknown' }))
  return method === 'nothing' && (await get(made.port).catch(() => ({ status: 0 }))).status === 200
}

for (const template of ['slots', 'named'] as const) {
  test.each(CHANGES)(
    `broken at every step (${template}): $name, and it is whole again, its file always good`,
    async change => {
      const here = await world(template)
      const { control, balancer, made } = here
      balancer.wanted(here.servers.slice(0, 2))
      const base = (names: readonly string[]) => names.length === 2
      await until(() => isWhole(here, (_, names) => base(names)), 10_000)
      const steps = await stepsOf(here, change)
      await until(() => isWhole(here, (_, names) => base(names)), 10_000)
      for (const [at, step] of steps.entries()) {
        for (const how of BREAKS.filter(one => one !== 'disk full' || WRITES.has(step))) {
          const where = `${step} (${at}) ${how}`
          control.steps = []
          control.plan = { at, how }
          await change.make(here)
          await until(
            () => isWhole(here, change.name.startsWith('another') ? (_, names) => base(names) : change.isThere),
            15_000,
          ).catch((failure: unknown) => {
            throw new Error(`${where}: ${JSON.stringify(balancer.status())}`, { cause: failure })
          })
          await run('haproxy', ['-c', '-f', made.config.configPath])
          control.plan = undefined
          await change.undo(here)
          await until(() => isWhole(here, (_, names) => base(names)), 10_000)
        }
      }
      expect(steps.length).toBeGreaterThanOrEqual(3)
    },
    300_000,
  )
}

const WRITES: ReadonlySet<string> = new Set(['check', 'write', 'install'])

/** What the change consists of when nothing breaks: up to the last step that does something. */
async function stepsOf(here: World, { make, undo, isThere }: (typeof CHANGES)[number]): Promise<string[]> {
  here.control.steps = []
  await make(here)
  await until(() => isThere(here, readyIn(here)), 10_000)
  await here.balancer.settle()
  const steps = here.control.steps
  const last = steps.findLastIndex(step => step !== 'look')
  await undo(here)
  return steps.slice(0, last + 2)
}
