import { Scope, sleep, systemClock, systemRandom } from '../../base/index.ts'
import { collectExecuted, type Load, objectionsTo, selfCheck, startLoad } from '../../prove/index.ts'
import { EXIT } from '../exit.ts'
import { type CommandEnd, runCommand } from './command.ts'
import { listenForMarks } from './marks.ts'
import type { RunOptions } from './options.ts'
import { showProgress } from './progress.ts'
import { type Findings, present } from './report.ts'

/** Load before COMMAND, so that the table has something to compare with. */
const LEAD_MS = 1000
/** A site that has not answered once by then is not there. */
const FIRST_ANSWER_MS_MAX = 5000
const INTERRUPTED = 130
/** Of COMMAND, in the table. */
const ACT_LENGTH_MAX = 40
const clock = systemClock

/** @returns the exit code */
export async function runProof(options: RunOptions, signal: AbortSignal): Promise<number> {
  await using scope = new Scope()
  const load = scope.use(startLoad(loadConfigOf(options), { clock, random: systemRandom }))
  const marks = scope.use(await listenForMarks(() => load))
  const progress = scope.use(showProgress(() => load.counts(), clock))
  await untilAnswered(load, options, signal)
  const ended = await perform(load, marks.path, options, signal)
  const openKills = load.kills
  await stopped(load)
  progress[Symbol.dispose]()
  const findings = await findingsOf(load, options, ended, openKills)
  present({ ...findings, interrupted: signal.aborted }, options.output)
  if (signal.aborted) return INTERRUPTED
  return findings.objections.length === 0 ? EXIT.ok : EXIT.failed
}

function loadConfigOf(options: RunOptions) {
  const { url, kinds, rate, timeoutMs, serverHeader, echo, insecure, socketPath, socketLifeMs } = options
  const rates = Object.fromEntries(kinds.map(kind => [kind, rate]))
  return { url, rates, act: 'before', timeoutMs, serverHeader, echo, insecure, socketPath, socketLifeMs }
}

function shortened(text: string): string {
  return text.length <= ACT_LENGTH_MAX ? text : `${text.slice(0, ACT_LENGTH_MAX - 2)} …`
}

async function untilAnswered(load: Load, { url, command }: RunOptions, signal: AbortSignal): Promise<void> {
  const untilMs = clock.nowMs() + FIRST_ANSWER_MS_MAX
  while (load.stats().good === 0 && !signal.aborted) {
    if (clock.nowMs() > untilMs) {
      const why = load.stats().failures[0]?.what ?? 'no answer at all'
      throw new Error(silenceText(url, why, command))
    }
    await sleep(clock, 20)
  }
}

/** That the site gives no answer, and what therefore was not done. */
export function silenceText(url: string, why: string, command: RunOptions['command']): string {
  return `${url} gives no good answer (${why}); ${command === undefined ? 'nothing is proved' : 'COMMAND was not started'}`
}

/** The lead, COMMAND or the duration, and the tail. Resolves also when interrupted. */
async function perform(
  load: Load,
  socket: string,
  options: RunOptions,
  signal: AbortSignal,
): Promise<CommandEnd | undefined> {
  const pause = (ms: number) => sleep(clock, ms, signal).catch(() => {}) // woken to end
  if (options.command === undefined) {
    load.begin('load')
    await pause(options.durationMs)
    return undefined
  }
  await pause(LEAD_MS)
  if (signal.aborted) return undefined
  load.begin(shortened(options.command.join(' ')))
  const ended = await runCommand(options.command, { socket, outputToStderr: options.output === 'json', clock }, signal)
  load.begin('after')
  await pause(options.tailMs)
  return ended
}

/** What is in flight may end; a further signal does not wait for it. */
async function stopped(load: Load): Promise<void> {
  const hurry = new AbortController()
  const onSignal = () => hurry.abort()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal)
  try {
    await Promise.race([load.stop(), new Promise(resolve => hurry.signal.addEventListener('abort', resolve))])
    if (hurry.signal.aborted) await load[Symbol.asyncDispose]()
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal)
  }
}

async function findingsOf(
  load: Load,
  options: RunOptions,
  ended: CommandEnd | undefined,
  openKills: number,
): Promise<Omit<Findings, 'interrupted'>> {
  const objections: string[] = []
  const notes: string[] = []
  const doubled = await reconciled(load, options, objections, notes)
  const stats = load.stats()
  objections.unshift(...objectionsTo(stats))
  if (openKills > 0) objections.push('kill-begins was told, but never kill-ends: it would excuse whatever came later')
  if (ended !== undefined && ended.exitCode !== 0)
    objections.push(`COMMAND failed: ${ended.signal === null ? `exit code ${ended.exitCode}` : ended.signal}`)
  if (options.kinds.includes('post') && options.ledgers.length === 0)
    notes.push('no --ledger was given: nothing is proved about doubled POSTs')
  const ownLag = load.ownLag()
  const self = selfCheck(stats, ownLag)
  if (self !== undefined) notes.push(self)
  const command = ended === undefined ? {} : { command: ended }
  return { stats, ownLag, objections, notes, more: { url: options.url, rate: options.rate, ...command, ...doubled } }
}

/** Holds the servers' ledgers against ours. */
async function reconciled(load: Load, options: RunOptions, objections: string[], notes: string[]): Promise<object> {
  if (options.ledgers.length === 0) return {}
  const found = await collectExecuted(options.ledgers, options)
  objections.push(...found.objections)
  notes.push(...found.notes)
  return load.reconcile(found.ids, found.isWhole)
}
