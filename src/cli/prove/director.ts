import { messageOf, shuffle, sleep } from '../../base/index.ts'
import { withDeadline } from '../tier/deadline.ts'
import { type Act, ACTS, type ActKind, SERVERS_MAX } from './acts.ts'
import type { ScenarioName } from './options.ts'
import type { ActResult } from './report.ts'
import type { World } from './world.ts'

/** `change`: of the template where it is a file, else of the configuration. */
type ScriptKind = ActKind | 'change'

/** What a scenario is made of. */
export interface Script {
  /** Repeated, each time in another order. */
  readonly kinds: readonly ScriptKind[]
  /** One act begins in so many seconds. */
  readonly everySeconds: number
  /** So many may be under way at a time. */
  readonly atATime: number
  /** The tier's, unless the command line says otherwise. */
  readonly template: 'slots' | 'file'
}

const AGENT_ACTS = ['balancer agent killed', 'agent killed', 'balancer agent handed over', 'agent handed over'] as const

export const SCRIPTS: Readonly<Record<ScenarioName, Script>> = {
  churn: {
    kinds: [
      ...(['join', 'leave', 'crash process', 'crash host', 'freeze', 'drain', 'weight', 'change', 'join'] as const),
      ...(['replace', 'haproxy reload', 'agent killed', 'balancer agent killed'] as const),
    ],
    everySeconds: 3,
    atATime: 4,
    template: 'file',
  },
  reload: {
    kinds: ['change', 'change', 'broken template', 'haproxy reload'],
    everySeconds: 3,
    atATime: 1,
    template: 'file',
  },
  crash: {
    kinds: ['crash process', 'join', 'crash host', 'freeze', 'join'],
    everySeconds: 5,
    atATime: 2,
    template: 'slots',
  },
  agent: { kinds: AGENT_ACTS, everySeconds: 4, atATime: 2, template: 'slots' },
  haproxy: {
    kinds: ['haproxy reload', 'haproxy upgrade', 'balancer agent killed'],
    everySeconds: 4,
    atATime: 1,
    template: 'slots',
  },
  drain: { kinds: ['replace', 'drain'], everySeconds: 6, atATime: 2, template: 'slots' },
}

const CHANGE = { slots: 'configuration', file: 'template' } as const

/** Longer, and an act counts as not having taken effect; a drain may take 30 s. */
const ACT_MS_MAX = 45_000
const WAIT_MS = 50
/** Nothing can be done, and nothing is under way that would change it. */
const STUCK_MS = 3000
/** Of the time, for the last acts to take effect. */
const SETTLE_SHARE = 0.15

/**
 * Does as many acts as the script has in `durationMs`, at even intervals, later where nothing is free to be acted on. Each
 * waits for its effect.
 */
export async function direct(
  world: World,
  script: Script,
  { durationMs, template }: { readonly durationMs: number; readonly template: Script['template'] },
  say: (sentence: string) => void,
  signal: AbortSignal,
): Promise<ActResult[]> {
  const { clock } = world
  const startedAtMs = clock.nowMs()
  const all = script.kinds.map(kind => (kind === 'change' ? CHANGE[template] : kind))
  const kinds = drawn(all, Math.ceil(durationMs / 1000 / script.everySeconds), world)
  const stepMs = (durationMs * (1 - SETTLE_SHARE)) / kinds.length
  const running = new Set<Promise<void>>()
  const results: ActResult[] = []
  try {
    for (let i = 0; kinds.length > 0; i++) {
      await sleep(clock, Math.max(0, startedAtMs + stepMs * (i + 0.5) - clock.nowMs()), signal)
      const act = await nextAct(world, kinds, () => script.atATime - running.size, script.atATime, signal)
      const name = `${i + 1} ${act.name}`
      world.load.begin(name)
      if (act.target !== undefined) world.busy.add(act.target)
      const done = resultOf(world, act, name, say, signal).then(result => {
        if (act.target !== undefined) world.busy.delete(act.target)
        running.delete(done)
        results.push(result)
      })
      running.add(done)
    }
    await Promise.all(running)
    await sleep(clock, Math.max(0, startedAtMs + durationMs - clock.nowMs()), signal)
  } catch (failure) {
    await Promise.all(running) // they hear the same signal
    if (!signal.aborted) throw failure
  }
  return results
}

/**
 * Takes the first act that can be done now out of `kinds`; waits while there is none. Where waiting does not help (too few
 * servers for what is left, or too many), another one takes its place.
 */
async function nextAct(
  world: World,
  kinds: ActKind[],
  free: () => number,
  atATime: number,
  signal: AbortSignal,
): Promise<Act> {
  for (let idleMs = 0; ; idleMs = free() === atATime ? idleMs + WAIT_MS : 0) {
    if (free() > 0) {
      for (const [i, kind] of kinds.entries()) {
        const act = ACTS[kind](world)
        if (act === undefined) continue
        kinds.splice(i, 1)
        return act
      }
    }
    const instead =
      idleMs < STUCK_MS ? undefined : ACTS[world.tier.servers.length < SERVERS_MAX ? 'join' : 'leave'](world)
    if (instead !== undefined) {
      kinds.shift()
      return instead
    }
    await sleep(world.clock, WAIT_MS, signal)
  }
}

async function resultOf(
  world: World,
  act: Act,
  name: string,
  say: (sentence: string) => void,
  signal: AbortSignal,
): Promise<ActResult> {
  const { clock, tier } = world
  const startedAtMs = clock.nowMs()
  try {
    await withDeadline(clock, ACT_MS_MAX, signal, act.perform)
    const followedMs = clock.nowMs() - startedAtMs
    say(`${name}: done after ${followedMs.toFixed(0)} ms`)
    return { name, followedMs }
  } catch (failure) {
    const problem = messageOf(failure)
    if (!signal.aborted) say(`${name}: ${problem}\n--- ${act.log}\n${tier.logOf(act.log, 30)}`)
    return { name, followedMs: undefined, problem }
  }
}

/** `count` kinds, from one shuffled bag after the other, so that each comes as often. */
function drawn(kinds: readonly ActKind[], count: number, { random }: World): ActKind[] {
  const bags = Math.ceil(count / kinds.length)
  return Array.from({ length: bags }, () => shuffle([...kinds], random))
    .flat()
    .slice(0, count)
}
