import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import type { Core, Swarm } from '../../simulator/index.ts'

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

/** The command line makes no sense; nothing was started. */
export class UsageError extends Error {}

export const MEMBERS = 100
const SEEDS = 5
/** Up to here Serf runs above memberlist unless told otherwise; in a ring of 1000 it costs too much time. */
const SERF_MEMBERS_MAX = 200
/** A list of everybody has to fit in what a peer accepts. */
const MEMBERS_MAX = 10_000
const JOBS_MAX = 256
const SEED_MAX = 2 ** 32 - 1

export const HELP = `Rings in virtual time, each drawn from a seed: join, crashes, leaves, partitions of half, restarts and news in
random order, with 5 % loss. After every step all members have to agree again about everybody: who is there with which
meta, and with Serf also statuses, tags, and user events (each once, to everybody who ran when it was sent).

usage: npm run sim -- [--members N] [--core CORE] [--seeds N] [--from SEED] [--jobs N]
       npm run sim -- [--members N] [--core CORE] --seed SEED

  --members N   members of each ring, 2 to ${MEMBERS_MAX}; default ${MEMBERS}
  --core CORE   serf, or memberlist alone; default: serf up to ${SERF_MEMBERS_MAX} members, memberlist above
  --seeds N     how many rings; default ${SEEDS}
  --from SEED   takes the seeds SEED, SEED + 1, …; default: drawn at random
  --seed SEED   runs this ring alone, and tells every step as it is reached
  --jobs N      rings at a time, each a process of its own; default: the number of cores, here ${availableParallelism()}

A seed gives the same steps whatever the number of jobs. A ring of 1000 takes minutes and about 2 GB.
Exit code: 0 all agreed, 1 some did not (each is printed with the command that replays it), 2 usage, 130 interrupted.

example: npm run sim -- --members 1000 --seeds 20 --jobs 4`

/**
 * @returns undefined: help is wanted
 * @throws UsageError
 */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parsed(args)
  if (values.help === true) return undefined
  const members = numberOf('members', values.members, 2, MEMBERS_MAX) ?? MEMBERS
  return {
    members,
    core: coreOf(values.core) ?? usualCore(members),
    seeds: numberOf('seeds', values.seeds, 1, 1_000_000) ?? SEEDS,
    from: numberOf('from', values.from, 0, SEED_MAX),
    seed: numberOf('seed', values.seed, 0, SEED_MAX),
    jobs: numberOf('jobs', values.jobs, 1, JOBS_MAX) ?? availableParallelism(),
  }
}

/** What to type to see this ring again. */
export function replayOf({ members, core, seed }: Swarm): string {
  const size = members === MEMBERS ? '' : `--members=${members} `
  const kind = core === usualCore(members) ? '' : `--core=${core} `
  return `npm run sim -- ${size}${kind}--seed=${seed}`
}

function usualCore(members: number): Core {
  return members <= SERF_MEMBERS_MAX ? 'serf' : 'memberlist'
}

function coreOf(text: string | undefined): Core | undefined {
  if (text === undefined || text === 'serf' || text === 'memberlist') return text
  throw new UsageError(`--core=${text}: serf or memberlist is wanted`)
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const
  const help = { type: 'boolean', short: 'h' } as const
  try {
    return parseArgs({
      args: [...args],
      options: { members: text, core: text, seeds: text, from: text, seed: text, jobs: text, help },
    })
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function numberOf(flag: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= min && number <= max) return number
  throw new UsageError(`--${flag}=${text}: a whole number from ${min} to ${max} is wanted`)
}
