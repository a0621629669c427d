import type { EventPage, EventReport } from '../../api/index.ts'
import type { Clock } from '../../base/index.ts'
import { formatAddress } from '../../base/index.ts'
import type { SerfEvent } from '../../serf/index.ts'

/** A day of a calm ring, minutes of a storm. */
const EVENTS_KEPT = 4096
const BYTES_KEPT = 4 * 1024 * 1024
/** One answer. */
const PAGE_EVENTS_MAX = 512
/** Room for so many events in each millisecond between two agents of a host, so that indexes only ever grow. */
const INDEX_PER_MS = 1000

/**
 * What has happened in the ring, numbered, so that whoever was away for a while can go on where it stopped and knows whether
 * it missed something. Bounded; the oldest are forgotten.
 */
export class EventLog {
  readonly #clock: Clock
  readonly #entries: { readonly report: EventReport; readonly bytes: number }[] = []
  readonly #waiting = new Set<() => void>()
  #next: number
  /** The index of the first event that might be missing here; everything before the start is. */
  #oldest: number
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#next = Math.floor(clock.wallMs()) * INDEX_PER_MS
    this.#oldest = this.#next
  }

  append(event: SerfEvent): void {
    const report = reportOf(event, this.#next++, new Date(this.#clock.wallMs()).toISOString())
    const bytes = JSON.stringify(report).length
    this.#entries.push({ report, bytes })
    this.#bytes += bytes
    while (this.#entries.length > EVENTS_KEPT || this.#bytes > BYTES_KEPT) this.#forget()
    for (const wake of this.#waiting) wake()
  }

  /**
   * The events after index `since`; waits up to `waitMs` for the first one when there is none.
   * @param since undefined: from now on
   */
  async after(since: number | undefined, waitMs: number): Promise<EventPage> {
    const from = since === undefined ? this.#next : since + 1
    if (from >= this.#next && waitMs > 0) await this.#news(waitMs)
    const events = this.#entries.filter(({ report }) => report.index >= from).slice(0, PAGE_EVENTS_MAX)
    const last = events.at(-1)?.report.index
    return {
      events: events.map(({ report }) => report),
      last: last ?? Math.max(from - 1, this.#oldest - 1),
      missed: from < this.#oldest,
    }
  }

  #news(waitMs: number): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        timer.cancel()
        this.#waiting.delete(done)
        resolve()
      }
      const timer = this.#clock.after(waitMs, done)
      this.#waiting.add(done)
    })
  }

  #forget(): void {
    const first = this.#entries.shift()
    if (first === undefined) return
    this.#bytes -= first.bytes
    this.#oldest = first.report.index + 1
  }
}

function reportOf(event: SerfEvent, index: number, at: string): EventReport {
  if (event.kind === 'user' || event.kind === 'query') {
    const { kind, name, ltime } = event
    return { index, at, event: kind, name, ltime, payload: Buffer.from(event.payload).toString() }
  }
  if (event.kind === 'conflict-lost') return { index, at, event: event.kind, name: event.name }
  const members = event.members.map(({ name, ip, port, status, tags }) => ({
    ...{ name, status, tags },
    address: formatAddress({ ip, port }),
  }))
  return { index, at, event: event.kind, members }
}
