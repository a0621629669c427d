import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { messageOf } from '../../base/index.ts'
import type { Core, Swarm } from '../../simulator/index.ts'
import { UsageError } from '../usage-error.ts'
import { wholeNumber } from '../whole-number.ts'
import type { Flags } from './scenario-source.ts'

/** The swarm: rings to which everything happens. */
export interface Options {
  readonly members: number
  /** How many rings, each from a seed of its own. */
  readonly seeds: number
  /** The first of consecutive seeds; undefined: seeds are drawn. */
  readonly from: number | undefined
  /** Just this ring, with every step. */
  readonly seed: number | undefined
  readonly core: Core
  /** Processes at a time. */
  readonly jobs: number
}

export interface Shown {
  /** How the outcome is printed. */
  readonly output: 'text' | 'json' | 'svg'
  /** Where the plots go besides. */
  readonly plot: string | undefined
}

export type Study = 'lifeguard' | 'scale'

export interface StudyOptions extends Shown {
  readonly study: Study
  readonly seeds: readonly number[]
  readonly jobs: number
  /** `scale`: which sizes; undefined: the usual. */
  readonly members: readonly number[] | undefined
  /** `lifeguard`: the whole grid. */
  readonly full: boolean
}

export type Command =
  | { readonly kind: 'help' }
  | ({ readonly kind: 'swarm' } & Options)
  | ({
      readonly kind: 'scenario'
      readonly file: string | undefined
      readonly flags: Flags
      readonly jobs: number
    } & Shown)
  | ({ readonly kind: 'study' } & StudyOptions)

export const MEMBERS = 100
const SEEDS = 5
/** Up to here Serf runs above memberlist unless told otherwise; in a ring of 1000 it costs too much time. */
const SERF_MEMBERS_MAX = 200
/** A list of everybody has to fit in what a peer accepts. */
const MEMBERS_MAX = 10_000
const JOBS_MAX = 256
const SEED_MAX = 2 ** 32 - 1
export const STUDIES: ReadonlySet<string> = new Set(['lifeguard', 'scale'])

/** Flags that say what a file would, by the key they set there. */
const SCENARIO_FLAGS: Readonly<Record<string, string>> = {
  duration: 'duration',
  formed: 'formed',
  loss: 'loss',
  delay: 'delay',
  partition: 'partitions',
  slow: 'slow',
  churn: 'churn',
  events: 'events',
  lifeguard: 'lifeguard',
  timing: 'timing',
}

export const HELP = `Rings of the real protocol cores in virtual time, thousands of members in one process; the same seed, the same run.

usage: muster sim FILE.yaml [options]     a scenario: convergence, false positives, messages and bytes per member
       muster sim lifeguard [options]     the experiments of the Lifeguard paper, part by part
       muster sim scale [options]         how long news takes to reach 10, 100, 1000 members, and what a member costs
       muster sim [--members N] [--core CORE] [--seeds N] [--from SEED] [--jobs N]
       muster sim [--members N] [--core CORE] --seed SEED

Without a file, and without an option of scenarios, it is the swarm: rings, each drawn from a seed: join, crashes, leaves,
partitions of half, restarts and news in random order, with 5 % loss. After every step all members have to agree again
about everybody: who is there with which meta, and with Serf also statuses, tags, and user events (each once, to everybody
who ran when it was sent). (npm run sim -- … is the same program from its sources.)

  --members N   members of each ring, 2 to ${MEMBERS_MAX}; default ${MEMBERS}; for scale a list such as 10,100
  --core CORE   serf, or memberlist alone; default: serf up to ${SERF_MEMBERS_MAX} members, memberlist above; scenarios: memberlist
  --seeds N     how many rings; default ${SEEDS}; scenarios and studies: 1
  --from SEED   takes the seeds SEED, SEED + 1, …; default: drawn at random; scenarios and studies: 1
  --seed SEED   runs this ring alone, and tells every step as it is reached
  --jobs N      rings at a time, each a process of its own; default: the number of cores, here ${availableParallelism()}

Scenarios; each option overrides what the file says (docs/simulation.md has the whole format):
  --duration T         virtual time, such as 2m; default 2m
  --formed true        all know all at the start; default: all join the first
  --loss SHARE         of packets, 0 to 1
  --delay MIN,MAX      one way, such as 1ms,20ms; default 200us,2ms
  --partition P        at=30s,for=20s,share=0.3 or members=[m1, m2]; one_way=true; repeatable
  --slow S             members=8,at=15s,for=2s,pause=100ms: messages wait while timers run; repeatable
  --churn C            join=2,leave=1,crash=1 per minute
  --events N           user events per minute, with --core serf
  --lifeguard PARTS    all, none, or some of probe,suspicion,buddy
  --timing T           suspicion_mult=5,probe_interval=1s and so on

  -o, --output FORMAT  scenarios and studies: text (tables and plots), json, or svg
  --plot FILE          writes the plots as SVG into FILE, besides
  --full               lifeguard: the whole grid of the paper, which takes hours

A seed gives the same run whatever the number of jobs. A ring of 1000 takes minutes.
Exit code: 0 all agreed, or the scenario ran; 1 some did not (each is printed with the command that replays it), 2 usage,
130 interrupted, after a summary of what had been run.

examples: muster sim --members 1000 --seeds 20 --jobs 4
          muster sim sim/slow-members.yaml --lifeguard none
          muster sim --members 200 --loss 0.1 --churn join=6,crash=6 --duration 5m -o svg > churn.svg`

/** @throws UsageError */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parsed(args)
  if (values.help === true) return { kind: 'help' }
  const [what, ...more] = positionals
  if (more.length > 0)
    throw new UsageError(`one file or study is wanted, not also ${more.join(' ')}; see muster sim --help`)
  const given = Object.keys(SCENARIO_FLAGS).filter(flag => flag in values)
  if (what !== undefined && STUDIES.has(what)) return studyOf(what as Study, values, given)
  if (what === undefined && given.length === 0) return swarmOf(values)
  return scenarioOf(what, values, given)
}

/** What to type to see this ring again. */
export function replayOf({ members, core, seed }: Swarm): string {
  const size = members === MEMBERS ? '' : `--members=${members} `
  const kind = core === usualCore(members) ? '' : `--core=${core} `
  return `npm run sim -- ${size}${kind}--seed=${seed}`
}

type Values = ReturnType<typeof parsed>['values']

function swarmOf(values: Values): Command {
  if (values.full === true) throw new UsageError('--full is for muster sim lifeguard')
  for (const flag of ['output', 'plot'] as const) {
    if (!(flag in values)) continue
    const how = 'with a file, or an option such as --duration 2m, it is a scenario'
    throw new UsageError(`--${flag} is for scenarios and studies: ${how}; see muster sim --help`)
  }
  const members = wholeNumber('members', values.members, 2, MEMBERS_MAX) ?? MEMBERS
  return {
    kind: 'swarm',
    members,
    core: coreOf(values.core) ?? usualCore(members),
    seeds: wholeNumber('seeds', values.seeds, 1, 1_000_000) ?? SEEDS,
    from: wholeNumber('from', values.from, 0, SEED_MAX),
    seed: wholeNumber('seed', values.seed, 0, SEED_MAX),
    jobs: jobsOf(values),
  }
}

function scenarioOf(file: string | undefined, values: Values, given: readonly string[]): Command {
  if (values.full === true) throw new UsageError('--full is for muster sim lifeguard')
  const flags: Record<string, readonly string[]> = {}
  for (const flag of given)
    flags[SCENARIO_FLAGS[flag] as string] = [values[flag as keyof Values] as string | string[]].flat()
  for (const flag of ['members', 'core', 'seeds', 'from'] as const) {
    const text = values[flag]
    if (text !== undefined) flags[flag] = [text]
  }
  if (values.seed !== undefined) Object.assign(flags, { from: [values.seed], seeds: ['1'] })
  return { kind: 'scenario', file, flags, jobs: jobsOf(values), ...shownOf(values) }
}

function studyOf(study: Study, values: Values, given: readonly string[]): Command {
  const [stray] = given
  if (stray !== undefined) throw new UsageError(`--${stray} is for scenarios, not for muster sim ${study}`)
  if (values.core !== undefined) throw new UsageError(`--core is not for muster sim ${study}`)
  if (values.full === true && study !== 'lifeguard') throw new UsageError('--full is for muster sim lifeguard')
  if (values.members !== undefined && study !== 'scale') throw new UsageError('the study is about rings of 128')
  const seeds = values.seed === undefined ? (wholeNumber('seeds', values.seeds, 1, 1000) ?? 1) : 1
  const from = wholeNumber('from', values.seed ?? values.from, 0, SEED_MAX) ?? 1
  return {
    kind: 'study',
    study,
    seeds: Array.from({ length: seeds }, (_, i) => from + i),
    jobs: jobsOf(values),
    members: values.members?.split(',').map(text => wholeNumber('members', text, 4, MEMBERS_MAX)),
    full: values.full === true,
    ...shownOf(values),
  }
}

function shownOf({ output = 'text', plot }: Values): Shown {
  if (output === 'text' || output === 'json' || output === 'svg') return { output, plot }
  throw new UsageError(`-o: "${output}" is not a format; write text, json or svg`)
}

function jobsOf(values: Values): number {
  return wholeNumber('jobs', values.jobs, 1, JOBS_MAX) ?? availableParallelism()
}

function usualCore(members: number): Core {
  return members <= SERF_MEMBERS_MAX ? 'serf' : 'memberlist'
}

function coreOf(text: string | undefined): Core | undefined {
  if (text === undefined || text === 'serf' || text === 'memberlist') return text
  throw new UsageError(`--core=${text}: serf or memberlist is wanted`)
}

const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const
/** As `parseArgs` takes them. */
export const SIM_OPTIONS = {
  ...{ members: text, core: text, seeds: text, from: text, seed: text, jobs: text },
  ...{ duration: text, formed: text, loss: text, delay: text, churn: text, events: text, lifeguard: text },
  ...{ timing: text, partition: texts, slow: texts, plot: text },
  output: { type: 'string', short: 'o' },
  full: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: SIM_OPTIONS })
  } catch (cause) {
    throw new UsageError(`${messageOf(cause)}; see muster sim --help`, { cause })
  }
}
