import { userInfo } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parseDuration } from '../agent/config/duration.ts'
import { apiRequest, type DrainReport, reasonFault } from '../api/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { drainsText, listed, progressText } from './drain-text.ts'
import { type DrainOutcome, exitOf, stays, untilDrained } from './drain-wait.ts'
import { EXIT } from './exit.ts'
import { formatOf, interrupted, print, printJson, report, tell } from './output.ts'
import { printable } from './table.ts'
import { UsageError } from './usage-error.ts'

export interface DrainOptions extends ApiOptions {
  readonly pool?: string
  readonly list?: boolean
  readonly undo?: boolean
  readonly force?: boolean
  readonly reason?: string
  readonly timeout?: string
  readonly wait: boolean
}

/** As long as a service of ours is drained before it is stopped. */
const TIMEOUT_DEFAULT = '30s'

/** Drains a server and waits; without a server: what is drained. */
export async function runDrain(options: DrainOptions, server: string | undefined): Promise<void> {
  assertAsked(options, server)
  if (options.undo === true) return await undo(options, server)
  if (server === undefined || options.list === true) return await list(options, server)
  return await drain(options, server)
}

/** @throws UsageError for what contradicts itself, and for a variable that was not set: before anything is asked for */
function assertAsked({ list, undo, reason, pool, force }: DrainOptions, server: string | undefined): void {
  if (server === '') throw new UsageError('the server is empty; muster status lists those that there are')
  if (pool === '') throw new UsageError('--pool: it is empty; without it all pools of the server are meant')
  if (list === true && undo === true) throw new UsageError('--list or --undo? the one shows, the other changes')
  if (force === true && reason === undefined)
    throw new UsageError('--force wants a reason for the journal: --force --reason "why"')
  const fault = reason === undefined ? undefined : reasonFault(reason)
  if (fault !== undefined) throw new UsageError(`--reason: ${fault}`)
}

async function list(options: DrainOptions, server: string | undefined): Promise<void> {
  const format = formatOf(options)
  const target = server === undefined ? {} : targetOf(options, server)
  const found = await apiRequest(socketOf(options), 'GET /v1/drains', target)
  if (format === 'json') printJson(found)
  else print(drainsText(found))
  if (format === 'text' && found.more === true)
    tell(`these are ${found.drains.length} of them, there are more; ask by name: muster drain --list SERVER`)
}

async function undo(options: DrainOptions, server: string | undefined): Promise<void> {
  if (server === undefined) throw new UsageError('--undo: which server? muster drain --list shows what is drained')
  const query = { ...targetOf(options, server), user: userInfo().username }
  const taken = await apiRequest(socketOf(options), 'DELETE /v1/drain', query)
  const late = taken.silent.length === 0 ? '' : `; ${listed(taken.silent)} will hear of it as soon as it answers`
  report(options, `${printable(server)} takes new clients again${late}`, taken)
}

async function drain(options: DrainOptions, server: string): Promise<void> {
  const format = formatOf(options)
  const waitMs = parseDuration(options.timeout ?? TIMEOUT_DEFAULT)
  if (waitMs === undefined) throw new UsageError(`--timeout: "${options.timeout}" is not a duration; write 30s or 5m`)
  const order = {
    ...targetOf(options, server),
    user: userInfo().username,
    wait: String(Math.floor(waitMs)),
    ...(options.force === true ? { force: '1' } : {}),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  }
  const first = await apiRequest(socketOf(options), 'POST /v1/drain', order)
  const outcome = options.wait ? await waited(options, server, first, waitMs) : { drain: first }
  if (format === 'json') printJson(outcome.drain)
  if (format === 'text' || outcome.unanswered !== undefined) tell(endText(outcome, options.wait))
  if (options.wait) process.exitCode ??= exitOf(outcome.drain)
}

async function waited(
  options: DrainOptions,
  server: string,
  first: DrainReport,
  waitMs: number,
): Promise<DrainOutcome> {
  const { pool } = options
  const signal = interrupted()
  const outcome = await untilDrained(first, {
    ...{ pool, waitMs, signal, tell },
    nowMs: () => performance.now(),
    pause: ms => pause(ms, undefined, { signal }).catch(() => undefined), // Ctrl-C: said below
    ask: () => apiRequest(socketOf(options), 'GET /v1/drains', targetOf(options, server), signal),
  })
  if (signal.aborted && !outcome.drain.done) process.exitCode = EXIT.failed
  return outcome
}

function endText({ drain, unanswered }: DrainOutcome, waited: boolean): string {
  const server = printable(drain.server)
  const back = `to take it back: muster drain --undo ${server}`
  if (drain.takenBack) return `somebody has taken the drain of ${server} back`
  if (!waited) return `${server} takes no new clients (${progressText(drain)}); ${back}`
  if (unanswered !== undefined) return `${unanswered}; ${stays(drain)}, and what is left is not known; ${back}`
  if (drain.done)
    return `${server} is drained: nothing is left on ${listed(drain.balancers.map(one => one.name))}; ${back}`
  return `${server} stays drained, but is not empty: ${progressText(drain)}; ${back}`
}

function targetOf({ pool }: DrainOptions, server: string): { server: string; pool?: string } {
  return { server, ...(pool === undefined ? {} : { pool }) }
}
