import type { Clock, ProcessIdentity, Random } from '../../base/index.ts'
import type { Load } from '../../prove/index.ts'
import { workersOf } from '../tier/drivers/haproxy-process.ts'
import type { DemoServer, Tier } from '../tier/drivers/tier.ts'

/** A tier under load, and who is being acted on at the moment. */
export interface World {
  readonly tier: Tier
  readonly load: Load
  readonly clock: Clock
  readonly random: Random
  /** Acts on the same server, or on the balancer, wait for one another. */
  readonly busy: Set<DemoServer | 'balancer'>
  /** When a server last fell without having said so, by name. */
  readonly fellAtMs: Map<string, number>
  /** HAProxy's master at the start: the same at the end. */
  readonly haproxy: ProcessIdentity
  readonly counts: Counts
}

/** What explains HAProxy's reloads. */
export interface Counts {
  /** Of the template or the configuration, the number of the one in force. */
  generation: number
  /** Of the template, or of settings that end up in it. */
  templateChanges: number
  /** As the balancer's earlier agents counted them, less those of before the first act. */
  reloadsBefore: number
}

export async function newWorld(parts: Pick<World, 'tier' | 'load' | 'clock' | 'random'>): Promise<World> {
  const reloadsBefore = -(await reloadsNow(parts.tier)) // the first members' own
  const counts = { generation: 0, templateChanges: 0, reloadsBefore }
  return { ...parts, busy: new Set(), fellAtMs: new Map(), haproxy: await parts.tier.haproxy(), counts }
}

/** Remembers the agent's count before the agent ends. */
export async function keepReloads(world: World): Promise<void> {
  world.counts.reloadsBefore += await reloadsNow(world.tier)
}

export async function reloadsOf(world: World): Promise<number> {
  return world.counts.reloadsBefore + (await reloadsNow(world.tier))
}

async function reloadsNow(tier: Tier): Promise<number> {
  return (await tier.balancer.status()).balancer?.haproxy.reloads ?? 0
}

/** What has to hold once all is over, in sentences where it does not. */
export async function flawsOf(world: World): Promise<string[]> {
  const flaws: string[] = []
  const { haproxy, counts } = world
  const now = await world.tier.haproxy()
  if (now.pid !== haproxy.pid) flaws.push(`HAProxy's master was ${haproxy.pid} and is ${now.pid}`)
  const workers = workersOf(now).length
  if (workers !== 1) flaws.push(`${workers} HAProxy workers are left; one is wanted`)
  const reloads = await reloadsOf(world)
  if (reloads > counts.templateChanges)
    flaws.push(`HAProxy was reloaded ${reloads} times; ${counts.templateChanges} can be explained`)
  return flaws
}
