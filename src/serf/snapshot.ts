import { formatAddress } from '../base/index.ts'
import type { SerfEvent } from './events.ts'
import type { LTime } from './lamport.ts'

/** Serf's own threshold: below 128 KiB a file is not worth compacting. */
const COMPACT_BYTES_MIN = 131_072
const COMPACT_BYTES_PER_NODE = 256

const LINE_STARTS = [
  'alive: ',
  'not-alive: ',
  'clock: ',
  'event-clock: ',
  'query-clock: ',
  'coordinate: ',
  'leave',
  '#',
]

/** What Serf's snapshot file holds, and the lines that keep it so. Without I/O; `drivers/snapshot-file.ts` writes. */
export class SnapshotRecord {
  readonly #nodes = new Map<string, string>()
  readonly #rejoinAfterLeave: boolean
  #clock: LTime = 0
  #eventClock: LTime = 0
  #queryClock: LTime = 0
  #hasLeft = false

  constructor(rejoinAfterLeave: boolean) {
    this.#rejoinAfterLeave = rejoinAfterLeave
  }

  get clocks(): { clock: LTime; eventClock: LTime; queryClock: LTime } {
    return { clock: this.#clock, eventClock: this.#eventClock, queryClock: this.#queryClock }
  }

  /** Name to `ip:port` of everybody alive when the file ends. */
  get nodes(): ReadonlyMap<string, string> {
    return this.#nodes
  }

  /** Above this the file is written anew. */
  get compactAboveBytes(): number {
    return Math.max(COMPACT_BYTES_MIN, COMPACT_BYTES_PER_NODE * this.#nodes.size)
  }

  /**
   * Reads a file. An unfinished last line is what a crash left; it is ignored.
   * @returns how many lines made no sense and were skipped
   */
  replay(text: string): number {
    const lines = text.split('\n').slice(0, -1)
    return lines.filter(line => !this.#replayLine(line)).length
  }

  /** Something is written there, and none of it is a line of a snapshot. */
  static isForeign(text: string): boolean {
    const lines = text.split('\n')
    const torn = lines.pop() ?? ''
    const written = lines.filter(line => line !== '' && !line.startsWith('#'))
    if (written.length > 0) return !written.some(line => LINE_STARTS.some(start => line.startsWith(start)))
    return torn !== '' && !LINE_STARTS.some(start => start.startsWith(torn) || torn.startsWith(start))
  }

  /** @returns the lines to append, each with its end; none when nothing is to be remembered */
  record(event: SerfEvent): string {
    if (this.#hasLeft) return ''
    if (event.kind === 'user') return this.eventClock(event.ltime)
    if (event.kind === 'query') return this.queryClock(event.ltime)
    if (event.kind === 'member-join') return event.members.map(m => this.#alive(m.name, formatAddress(m))).join('')
    if (event.kind === 'member-update' || event.kind === 'member-reap' || event.kind === 'conflict-lost') return ''
    return event.members.map(member => this.#notAlive(member.name)).join('')
  }

  memberClock(ltime: LTime): string {
    if (ltime <= this.#clock) return ''
    this.#clock = ltime
    return `clock: ${ltime}\n`
  }

  eventClock(ltime: LTime): string {
    if (ltime <= this.#eventClock || this.#hasLeft) return ''
    this.#eventClock = ltime
    return `event-clock: ${ltime}\n`
  }

  queryClock(ltime: LTime): string {
    if (ltime <= this.#queryClock || this.#hasLeft) return ''
    this.#queryClock = ltime
    return `query-clock: ${ltime}\n`
  }

  /** A graceful leave: nothing but the member clock is recorded from here on. */
  leave(): string {
    this.#hasLeft = true
    if (!this.#rejoinAfterLeave) this.#nodes.clear()
    return 'leave\n'
  }

  /** The whole content, as short as it gets. */
  compacted(): string {
    const alive = [...this.#nodes].map(([name, address]) => `alive: ${name} ${address}\n`).join('')
    const left = this.#hasLeft ? 'leave\n' : '' // Serf forgets this one, and a restart would join again
    return `${alive}${left}clock: ${this.#clock}\nevent-clock: ${this.#eventClock}\nquery-clock: ${this.#queryClock}\n`
  }

  #alive(name: string, address: string): string {
    if (/[\n\r]/.test(name)) return '' // a stranger's name must not write lines of its own
    this.#nodes.set(name, address)
    return `alive: ${name} ${address}\n`
  }

  #notAlive(name: string): string {
    if (/[\n\r]/.test(name)) return ''
    this.#nodes.delete(name)
    return `not-alive: ${name}\n`
  }

  #replayLine(line: string): boolean {
    if (line === 'leave') return this.#replayLeave()
    if (line.startsWith('#') || line.startsWith('coordinate: ')) return true
    const found = /^(alive|not-alive|clock|event-clock|query-clock): (.+)$/s.exec(line)
    if (found === null) return false
    const [, key, value] = found as unknown as [string, string, string]
    if (key === 'not-alive') return this.#nodes.delete(value) || true
    return key === 'alive' ? this.#replayAlive(value) : this.#replayClock(key, value)
  }

  #replayLeave(): boolean {
    if (this.#rejoinAfterLeave) return true
    this.#nodes.clear()
    this.#clock = 0
    this.#eventClock = 0
    this.#queryClock = 0
    return true
  }

  #replayAlive(value: string): boolean {
    const space = value.lastIndexOf(' ')
    if (space < 1) return false
    this.#nodes.set(value.slice(0, space), value.slice(space + 1))
    return true
  }

  #replayClock(key: string, value: string): boolean {
    const ltime = Number(value)
    if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(ltime)) return false
    if (key === 'clock') this.#clock = ltime
    else if (key === 'event-clock') this.#eventClock = ltime
    else this.#queryClock = ltime
    return true
  }
}
