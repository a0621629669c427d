import { Scope, seededRandom, sleep, systemClock, systemRandom } from '../../base/index.ts'
import { objectionsTo, selfCheck, startLoad } from '../../prove/index.ts'
import { EXIT } from '../exit.ts'
import { tell } from '../output.ts'
import { haproxyProgram, workersOf } from '../tier/drivers/haproxy-process.ts'
import { openTier } from '../tier/open-tier.ts'
import { direct, SCRIPTS } from './director.ts'
import type { ScenarioOptions } from './options.ts'
import { showProgress } from './progress.ts'
import { type ActResult, present } from './report.ts'
import { flawsOf, newWorld, reloadsOf, type World } from './world.ts'

const SERVERS = 4
const LEAD_MS = 1000
/** Workers of before the last reload end with their last WebSocket. */
const WORKERS_MS_MAX = 20_000
const INTERRUPTED = 130
const clock = systemClock

/** A tier of its own, the script's acts on it under load, and the table. @returns the exit code */
export async function runScenario(options: ScenarioOptions, signal: AbortSignal): Promise<number> {
  await using scope = new Scope()
  const { scenario, rate, kinds, timeoutMs, socketLifeMs } = options
  const script = SCRIPTS[scenario]
  const seed = options.seed ?? systemRandom.below(2 ** 32)
  const hasWeights = script.kinds.includes('weight')
  const own = scenario === 'haproxy' ? { ownHaproxy: haproxyProgram() } : {}
  const { template = script.template } = options
  const tierOptions = {
    engine: 'muster',
    template,
    servers: SERVERS,
    plainServer: hasWeights,
    diesAtOnce: true,
    ...own,
  } as const
  const tier = await openTier(tierOptions, { scope, clock, random: systemRandom, say: tell }, signal)
  const rates = Object.fromEntries(kinds.map(kind => [kind, rate]))
  const site = { url: tier.siteUrl, serverHeader: 'x-backend-name', echo: true, act: 'before' }
  const load = scope.use(startLoad({ ...site, rates, timeoutMs, socketLifeMs }, { clock, random: systemRandom }))
  const world = await newWorld({ tier, load, clock, random: seededRandom(seed) })
  tell(`${scenario} on ${tier.siteUrl}: ${rate} requests a second of each kind (${kinds.join(', ')})`)
  tell(`the same acts again: --seed ${seed}`)
  const progress = scope.use(showProgress(() => load.counts(), clock))
  await sleep(clock, LEAD_MS, signal).catch(() => {}) // woken to end
  const acts = await direct(world, script, { durationMs: options.durationMs, template }, tell, signal)
  load.begin('after')
  const flaws = signal.aborted ? [] : await lastLook(world, signal)
  await load.stop()
  progress[Symbol.dispose]()
  return await conclude(world, options, { acts, flaws, seed }, signal)
}

async function lastLook(world: World, signal: AbortSignal): Promise<string[]> {
  const untilMs = clock.nowMs() + WORKERS_MS_MAX
  while (clock.nowMs() < untilMs && workersOf(world.haproxy).length !== 1 && !signal.aborted) await sleep(clock, 100)
  return await flawsOf(world)
}

async function conclude(
  world: World,
  options: ScenarioOptions,
  found: { acts: readonly ActResult[]; flaws: readonly string[]; seed: number },
  signal: AbortSignal,
): Promise<number> {
  const { load, tier, counts } = world
  const { doubled, unexecuted } = load.reconcile(tier.executed())
  const stats = load.stats()
  const ownLag = load.ownLag()
  const idle = found.acts.filter(act => act.followedMs === undefined)
  const objections = [
    ...objectionsTo(stats),
    ...idle.map(({ name, problem }) => `${name}: it did not take effect: ${problem}`),
    ...found.flaws,
  ]
  const reloads = signal.aborted ? undefined : await reloadsOf(world).catch(() => undefined)
  const notes = [
    `${found.acts.length} acts, ${reloads ?? '?'} reloads by the agent, ${counts.templateChanges} changes of template or configuration`,
  ]
  const self = selfCheck(stats, ownLag)
  if (self !== undefined) notes.push(self)
  const { seed, acts } = found
  const more = { scenario: options.scenario, seed, reloads, counts, doubled, unexecuted }
  present({ stats, ownLag, objections, notes, acts, interrupted: signal.aborted, more }, options.output)
  if (signal.aborted) return INTERRUPTED
  if (objections.length > 0) tell(`the logs of all agents: ${tier.keepLogs()}`)
  return objections.length === 0 ? EXIT.ok : EXIT.failed
}
