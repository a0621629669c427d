import { createHash } from 'node:crypto'
import type { ProbeTarget } from '../base/index.ts'
import { ServiceSpecError } from './errors.ts'

/** When and how often a service that ended is started again. */
export interface RestartSpec {
  /** Before the first restart after a stable run; doubles with each that follows. 100 by default. */
  readonly minMs?: number
  /** The longest wait. 30 000 by default. */
  readonly maxMs?: number
  /** A run this long was stable: the next failure counts as the first. 10 000 by default. */
  readonly stableMs?: number
  /** Unstable runs in a row after which nothing is tried any more; 0: never. 20 by default: six minutes, a database's restart. */
  readonly quarantineAfter?: number
}

/** The endpoint that a service's process offers while it is ready. */
export interface Serves {
  readonly pool: string
  readonly port: number
  readonly weight: number
}

/** One service: what to run, when it is ready, how it ends. */
export interface ServiceSpec {
  /** A letter or digit, then at most 63 of letters, digits, `_`, `.` and `-`: it names files. */
  readonly name: string
  /** A string is a line for `/bin/sh`, which makes way for a simple command; an array is run as it is. */
  readonly command: string | readonly string[]
  /** Added to the agent's own environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Run as this user with its groups; the agent must be root. */
  readonly user?: string
  /** Ready when this answers; without it, as soon as it runs. */
  readonly ready?: ProbeTarget
  /** A service not ready by then is stopped and counted as failed. 60 000 by default. */
  readonly readyTimeoutMs?: number
  /** Asks the main process to end. SIGTERM by default. */
  readonly stopSignal?: NodeJS.Signals
  /** From the stop signal to SIGKILL of the whole group. 10 000 by default. */
  readonly stopTimeoutMs?: number
  readonly restart?: RestartSpec
  /** Output kept on disk that has already been read. 1 MiB by default. */
  readonly logMaxBytes?: number
  /** Remembered with the process, so that a next agent knows what one that was configured otherwise still serves. */
  readonly serves?: Serves
  /** False: one found running is restarted, not adopted. True by default. */
  readonly adopt?: boolean
}

/** A specification with every default filled in. */
export type Spec = Required<Omit<ServiceSpec, 'cwd' | 'user' | 'ready' | 'serves' | 'restart'>> &
  Pick<ServiceSpec, 'cwd' | 'user' | 'ready' | 'serves'> & { readonly restart: Required<RestartSpec> }

/** @throws ServiceSpecError naming the field */
export function completeSpec(spec: ServiceSpec): Spec {
  refuse(!/^[A-Za-z0-9][\w.-]{0,63}$/.test(spec.name), spec, 'name must be 1 to 64 letters, digits, _ . or -')
  refuse(spec.command.length === 0, spec, 'command is empty')
  refuse(spec.user !== undefined && !/^[a-z_][\w.-]*$/i.test(spec.user), spec, 'user is not a user name')
  const complete: Spec = {
    env: {},
    readyTimeoutMs: 60_000,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    logMaxBytes: 2 ** 20,
    adopt: true,
    ...spec,
    restart: { minMs: 100, maxMs: 30_000, stableMs: 10_000, quarantineAfter: 20, ...spec.restart },
  }
  const texts = [...Object.entries(complete.env).flat(), complete.cwd ?? '', ...argvOf(complete)]
  refuse(
    texts.some(text => text.includes('\0')),
    spec,
    'command, env and cwd must not hold a NUL character',
  )
  refuse(complete.restart.minMs > complete.restart.maxMs, spec, 'restart.minMs is above restart.maxMs')
  refuse(complete.restart.quarantineAfter < 0, spec, 'restart.quarantineAfter is below 0')
  return complete
}

/**
 * Program and arguments. The shell is told to `exec` a simple command, so that signals reach the program itself; anything
 * compound, and what begins with an assignment, is the shell's own to run.
 */
export function argvOf(spec: Pick<ServiceSpec, 'command'>): readonly [string, ...string[]] {
  if (typeof spec.command !== 'string') return spec.command as readonly [string, ...string[]]
  const line = spec.command.trim()
  const isSimple = /^(?!exec\s)["'\w./~-]+(\s|$)/.test(line) && !/[;&|\n`(){}]/.test(line)
  return ['/bin/sh', '-c', isSimple ? `exec ${line}` : line]
}

/** Whether a service could be run like this. @throws ServiceSpecError */
export function assertSpec(spec: ServiceSpec): void {
  completeSpec(spec)
}

/** Changes when what would be executed changes; timings and policies may change without a new process. */
export function specHash(spec: Spec): string {
  const env = Object.entries(spec.env).sort(([a], [b]) => (a < b ? -1 : 1))
  const what = JSON.stringify([spec.command, env, spec.cwd ?? null, spec.user ?? null])
  return createHash('sha256').update(what).digest('hex').slice(0, 16)
}

function refuse(wrong: boolean, spec: ServiceSpec, problem: string): void {
  if (wrong) throw new ServiceSpecError(`service ${JSON.stringify(spec.name)}: ${problem}`)
}
