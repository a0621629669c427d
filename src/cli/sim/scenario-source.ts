import { parse } from 'yaml'
import { checkAgainst } from '../../agent/config/check.ts'
import { type Problem, refuse } from '../../agent/config/problems.ts'
import { type Source, yamlSource } from '../../agent/config/source.ts'
import { messageOf } from '../../base/index.ts'
import { type Scenario, USUAL, type Who } from '../../simulator/index.ts'
import { ScenarioSchema, type ScenarioSettings } from './scenario-schema.ts'

/** A scenario, and from which seeds it is run. */
export interface Planned {
  readonly scenario: Scenario
  readonly seeds: readonly number[]
}

/** The text of a file and its name, if there is one. */
export interface ScenarioText {
  readonly name: string
  readonly text: string
}

/** What flags said, by the key they set, as it would be written in a file. */
export type Flags = Readonly<Record<string, readonly string[]>>

/**
 * A scenario from a file, from flags, or from both; flags win.
 * @throws ConfigError with every problem: `storm.yaml:3:5` or `--loss`
 */
export function readScenario(file: ScenarioText | undefined, flags: Flags): Planned {
  const source = withFlags(file === undefined ? nothing : yamlSource(file.name, file.text), flags)
  const { value, problems } = checkAgainst(ScenarioSchema, source)
  refuse(problems)
  const settings = value ?? {}
  const scenario = scenarioOf(settings)
  refuse(contradictions(scenario, source))
  const { seeds = 1, from = 1 } = settings
  return { scenario, seeds: Array.from({ length: seeds }, (_, i) => from + i) }
}

const nothing: Source = { value: {}, place: () => undefined, problems: [], warnings: [] }

/** Which key a flag sets, and how often it may be given. */
const LISTS: ReadonlySet<string> = new Set(['partitions', 'slow'])
const MAPS: ReadonlySet<string> = new Set([...LISTS, 'churn', 'timing'])
const SINGULAR: Readonly<Record<string, string>> = { partitions: 'partition' }

function withFlags(file: Source, flags: Flags): Source {
  const problems = [...file.problems]
  const said: Record<string, unknown> = {}
  for (const [key, texts] of Object.entries(flags)) {
    const where = `--${SINGULAR[key] ?? key}`
    const values = texts.map(text => flagValue(key, text, where, problems))
    said[key] = LISTS.has(key) ? values : values.at(-1)
  }
  const isMap = typeof file.value === 'object' && file.value !== null && !Array.isArray(file.value)
  const value: unknown = isMap ? { ...file.value, ...said } : file.value
  const place: Source['place'] = (path, key) => {
    const first = String(path[0] ?? key)
    return Object.hasOwn(said, first) ? { where: `--${SINGULAR[first] ?? first}`, details: [] } : file.place(path, key)
  }
  return { value, place, problems, warnings: [] }
}

/** `members=8,for=2s` is `{ members: 8, for: 2s }`, and `2ms,8ms` a list. */
function flagValue(key: string, text: string, where: string, problems: Problem[]): unknown {
  if (key === 'lifeguard') return lifeguardOf(text)
  const yaml = MAPS.has(key) ? `{ ${text.replaceAll('=', ': ')} }` : text.includes(',') ? `[ ${text} ]` : text
  try {
    return parse(yaml, { maxAliasCount: 0 }) as unknown
  } catch (error) {
    problems.push({ path: key, where, message: `${where}=${text} cannot be read: ${messageOf(error)}` })
    return undefined
  }
}

/** `all`, `none`, or the parts that are on: `probe,buddy`. */
function lifeguardOf(text: string): unknown {
  if (text === 'all' || text === 'none') return text === 'all'
  const parts = text.split(',').map(part => [part, true])
  return { probe: false, suspicion: false, buddy: false, ...(Object.fromEntries(parts) as object) }
}

function scenarioOf(settings: ScenarioSettings): Scenario {
  const { timing = {}, churn = {}, delay, lifeguard = true } = settings
  const durationMs = settings.duration ?? USUAL.durationMs
  const isOn = (part: boolean | undefined) => part ?? true
  return {
    members: settings.members ?? USUAL.members,
    core: settings.core ?? USUAL.core,
    formed: settings.formed ?? USUAL.formed,
    durationMs,
    loss: settings.loss ?? USUAL.loss,
    delayMs: delay === undefined ? USUAL.delayMs : [delay[0], delay[1]],
    partitions: (settings.partitions ?? []).map(one => ({
      atMs: one.at,
      forMs: one.for,
      members: one.members ?? one.share ?? 0.5,
      oneWay: one.one_way,
    })),
    slow: (settings.slow ?? []).map(one => ({
      members: one.members,
      atMs: one.at,
      forMs: one.for,
      pauseMs: one.pause,
      untilMs: one.until ?? durationMs,
    })),
    churn: { ...USUAL.churn, ...withoutUndefined(churn) },
    eventsPerMinute: settings.events ?? USUAL.eventsPerMinute,
    lifeguard:
      typeof lifeguard === 'boolean'
        ? { probe: lifeguard, suspicion: lifeguard, buddy: lifeguard }
        : { probe: isOn(lifeguard.probe), suspicion: isOn(lifeguard.suspicion), buddy: isOn(lifeguard.buddy) },
    timing: withoutUndefined({
      probeIntervalMs: timing.probe_interval,
      probeTimeoutMs: timing.probe_timeout,
      suspicionMult: timing.suspicion_mult,
      suspicionMaxTimeoutMult: timing.suspicion_max_timeout_mult,
      indirectChecks: timing.indirect_checks,
      gossipIntervalMs: timing.gossip_interval,
      gossipNodes: timing.gossip_nodes,
      retransmitMult: timing.retransmit_mult,
      pushPullIntervalMs: timing.push_pull_interval,
    }),
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function withoutUndefined<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Defined<T>
}

/** What each key allows, and all together do not. */
function contradictions({ members, partitions, slow }: Scenario, source: Source): Problem[] {
  const problems: Problem[] = []
  const check = (key: string, i: number, who: Who) => {
    const path = [key, i, 'members']
    const at = `${key}.${i}.members`
    const place = source.place(path)
    if (typeof who === 'number') {
      if (who > members) problems.push({ path: at, message: `${at}: ${who} of ${members} members`, ...place })
      return
    }
    const stranger = who.find(name => Number(name.slice(1)) > members)
    if (stranger === undefined) return
    problems.push({ path: at, message: `${at}: there is no ${stranger}, the last is m${members}`, ...place })
  }
  for (const [i, one] of partitions.entries()) if (typeof one.members !== 'number') check('partitions', i, one.members)
  for (const [i, one] of slow.entries()) check('slow', i, one.members)
  return problems
}
