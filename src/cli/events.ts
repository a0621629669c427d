import { apiRequest, type EventReport } from '../api/index.ts'
import { sleep, systemClock } from '../base/index.ts'
import { type ApiOptions, socketOf } from './status.ts'
import { UsageError } from './usage-error.ts'

export interface EventsOptions extends ApiOptions {
  /** An index that an earlier run has printed. */
  readonly since?: string
}

const WAIT_MS = 8_000
const RETRY_MS = 500

/**
 * Prints what happens in the ring, a line each, with its index, until it is interrupted. An agent that is away is waited for; what
 * happened meanwhile is printed when it is back, and what it has forgotten is said.
 */
export async function runEvents(options: EventsOptions, signal: AbortSignal): Promise<void> {
  const format = options.output ?? 'text'
  if (format !== 'text' && format !== 'json')
    throw new UsageError(`-o: "${format}" is not a format; write text or json`)
  let since = options.since
  if (since !== undefined && !/^\d{1,16}$/.test(since)) throw new UsageError(`--since: "${since}" is not an index`)
  let isAway = false
  while (!signal.aborted) {
    try {
      const query = { wait: String(WAIT_MS), ...(since === undefined ? {} : { since }) }
      const page = await apiRequest(socketOf(options), 'GET /v1/events', query)
      if (page.missed)
        process.stderr.write('some events are missing here: the agent has started anew, or forgotten them\n')
      for (const event of page.events)
        process.stdout.write(`${format === 'json' ? JSON.stringify(event) : eventText(event)}\n`)
      since = String(page.last)
      isAway = false
    } catch (failure) {
      if (since === undefined || signal.aborted) throw failure
      if (!isAway) process.stderr.write(`the agent is away; going on after ${since} when it is back\n`)
      isAway = true
      await sleep(systemClock, RETRY_MS, signal).catch(() => undefined) // aborted: the loop ends
    }
  }
}

/** `1763714…  2026-11-21T09:34:47.123Z  member-join  web-1 10.0.0.7:7946 role=web` */
export function eventText({ index, at, event, members, name, payload }: EventReport): string {
  const who = (members ?? []).map(member => {
    const tags = Object.entries(member.tags).map(([key, value]) => `${key}=${value}`)
    return [member.name, member.address, ...(tags.length === 0 ? [] : [tags.join(',')])].join(' ')
  })
  const what = [
    ...who,
    ...(name === undefined ? [] : [name]),
    ...(payload === undefined || payload === '' ? [] : [payload]),
  ]
  return oneLine([String(index), at, event, what.join('; ')].join('  '))
}

/** Names, tags and payloads come from anybody: they must not move the terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
