import { AgentUnreachableError, ApiAnswerError, type DrainList, type DrainReport } from '../api/index.ts'
import { listed, progressText } from './drain-text.ts'
import { EXIT } from './exit.ts'
import { printable } from './table.ts'

const PROGRESS_MS = 2_000
/** The first look comes sooner: most servers are empty as soon as they are out of traffic. */
const FIRST_LOOK_MS = 250

export interface DrainWaiting {
  /** In which pool; undefined: in all. */
  readonly pool?: string | undefined
  readonly waitMs: number
  /** Aborted: nobody waits any more. */
  readonly signal: AbortSignal
  readonly nowMs: () => number
  /** Resolves early once the signal is aborted. */
  readonly pause: (ms: number) => Promise<void>
  readonly tell: (text: string) => void
  /** How it goes. @throws what `apiRequest` throws */
  readonly ask: () => Promise<DrainList>
}

export interface DrainOutcome {
  /** As was last heard. */
  readonly drain: DrainReport
  /** Why nothing has been heard since then, in words. */
  readonly unanswered?: string
}

/**
 * Shows every two seconds what is left, until nothing is, the time has come, or somebody presses Ctrl-C. The balancers hold the drain:
 * where the agent that was asked ends or is started anew, it is asked on.
 */
export async function untilDrained(first: DrainReport, o: DrainWaiting): Promise<DrainOutcome> {
  const deadlineMs = o.nowMs() + o.waitMs
  let now: DrainOutcome = { drain: first }
  for (let pauseMs = FIRST_LOOK_MS; isOpen(now.drain) && o.nowMs() < deadlineMs; pauseMs = PROGRESS_MS) {
    await o.pause(Math.max(0, Math.min(pauseMs, deadlineMs - o.nowMs())))
    if (o.signal.aborted) return now
    const next = await look(now.drain, o)
    if (next.unanswered !== undefined && next.unanswered !== now.unanswered)
      o.tell(`${next.unanswered}; ${stays(next.drain)}; asking again`)
    if (next.unanswered === undefined && isOpen(next.drain)) o.tell(progressText(next.drain))
    now = next
  }
  return now
}

/** What waiting for it ends with: 0 empty, 1 somebody has taken it back, 5 the time came first. */
export function exitOf({ done, takenBack }: DrainReport): number {
  if (takenBack) return EXIT.failed
  return done ? EXIT.ok : EXIT.timedOut
}

/** `the drain of web-2 stays in force on every balancer (lb-1 and lb-2)`. */
export function stays({ server, balancers }: DrainReport): string {
  const names = balancers.filter(({ confirmed }) => confirmed).map(({ name }) => name)
  const known = names.length === 0 ? '' : ` (${listed(names)})`
  return `the drain of ${printable(server)} stays in force on every balancer${known}`
}

function isOpen({ done, takenBack }: DrainReport): boolean {
  return !done && !takenBack
}

async function look(last: DrainReport, { pool, ask, signal }: DrainWaiting): Promise<DrainOutcome> {
  try {
    const list = await ask()
    const found = list.drains.find(one => one.pool === pool)
    if (found !== undefined) return { drain: found }
    if (isToldBy(list, last)) return { drain: { ...last, takenBack: true } }
    return { drain: last, unanswered: 'no balancer has told the agent yet how it goes' }
  } catch (failure) {
    if (signal.aborted) return { drain: last }
    const unanswered = awayWords(failure)
    if (unanswered === undefined) throw failure
    return { drain: last, unanswered }
  }
}

/** An agent that has not found the ring yet knows of no drains, and a silent balancer may hold one. */
function isToldBy({ answered }: DrainList, { balancers }: DrainReport): boolean {
  return answered === undefined || balancers.some(({ name }) => answered.includes(name))
}

/** The agent has ended, or is being started; undefined for any other failure. */
function awayWords(failure: unknown): string | undefined {
  if (failure instanceof AgentUnreachableError) return 'the agent here gives no answer'
  return failure instanceof ApiAnswerError && failure.status === STARTING
    ? 'the agent here is being started'
    : undefined
}

const STARTING = 503
