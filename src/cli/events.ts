import { apiRequest, type EventReport } from '../api/index.ts'
import { sleep, systemClock } from '../base/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { formatOf, print, printJson, tell } from './output.ts'
import { printable } from './table.ts'
import { UsageError } from './usage-error.ts'

const WAIT_MS = 8_000
const RETRY_MS = 500

/**
 * Prints what happens in the ring, a line each, with its index, until it is interrupted. An agent that is away is waited for; what
 * happened meanwhile is printed when it is back, and what it has forgotten is said.
 */
export async function runEvents(options: ApiOptions, from: string, signal: AbortSignal): Promise<void> {
  const isJson = formatOf(options) === 'json'
  if (from !== 'now' && !/^\d{1,16}$/.test(from)) throw new UsageError(`--since: "${from}" is not an index, nor now`)
  let since = from === 'now' ? undefined : from
  let isAway = false
  while (!signal.aborted) {
    try {
      const query = { wait: String(WAIT_MS), ...(since === undefined ? {} : { since }) }
      const page = await apiRequest(socketOf(options), 'GET /v1/events', query, signal)
      if (page.missed && since !== '0')
        tell('some events are missing here: the agent has started anew, or forgotten them')
      for (const event of page.events) {
        if (isJson) printJson(event, 'compact')
        else print(eventText(event))
      }
      since = String(page.last)
      isAway = false
    } catch (failure) {
      if (signal.aborted) return
      if (since === undefined) throw failure
      if (!isAway) tell(`the agent is away; going on after ${since} when it is back`)
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
  return printable([String(index), at, event, what.join('; ')].join('  '))
}
