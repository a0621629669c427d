import { parseDuration } from '../agent/config/duration.ts'
import { UsageError } from './usage-error.ts'

const DAY_MS = 24 * 3_600_000
const FORMS = 'write 12:03:07 (today), 2026-11-21T12:03:07 (local time, or with a zone), or 10m for ten minutes ago'

/**
 * A time as people write it: `10m` or `-10m` (ago), `12:03`, `12:03:07.5` (today), a date, a date and a time, ISO 8601 with or
 * without a zone. Without one it is local.
 * @param option for the message
 * @returns milliseconds since 1970
 * @throws UsageError for anything else, and for what is still to come
 */
export function parseTime(option: string, text: string, nowMs: number): number {
  const ms = agoOf(text, nowMs) ?? todayOf(text, nowMs) ?? dateOf(text)
  if (ms === undefined || Number.isNaN(ms)) throw new UsageError(`${option}: "${text}" is no time; ${FORMS}`)
  if (ms > nowMs) throw new UsageError(`${option}: ${text} is still to come; for another day ${FORMS}`)
  return Math.max(0, ms)
}

function agoOf(text: string, nowMs: number): number | undefined {
  if (text === 'now') return nowMs
  const [, days] = /^-?(\d{1,5})d$/.exec(text) ?? []
  const agoMs = days === undefined ? parseDuration(text.replace(/^-/, '')) : Number(days) * DAY_MS
  return agoMs === undefined ? undefined : nowMs - agoMs
}

function todayOf(text: string, nowMs: number): number | undefined {
  const [, hours, minutes, seconds = '0'] = /^(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,3})?))?$/.exec(text) ?? []
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) >= 60) return undefined
  if (hours === undefined) return undefined
  return new Date(nowMs).setHours(Number(hours), Number(minutes), 0, Math.round(Number(seconds) * 1000))
}

/** A date alone is its first moment here, and not in Greenwich as JavaScript has it. */
function dateOf(text: string): number | undefined {
  const form = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?)?$/
  const [, date, time = '00:00', zone = ''] = form.exec(text) ?? []
  return date === undefined ? undefined : Date.parse(`${date}T${time}${zone}`)
}

/** `12:03:07.123` of today, `2026-11-20 12:03:07.123` of another day; both can be given to `--at`. */
export function formatTime(ms: number, nowMs: number): string {
  const date = new Date(ms)
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
  const exact = `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
  return date.toDateString() === new Date(nowMs).toDateString() ? exact : `${formatDay(date)} ${exact}`
}

function formatDay(date: Date): string {
  return [String(date.getFullYear()).padStart(4, '0'), twoDigits(date.getMonth() + 1), twoDigits(date.getDate())].join(
    '-',
  )
}

/** The zone of a time here: `UTC`, `UTC+01:00`. */
export function zoneOf(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset()
  if (minutes === 0) return 'UTC'
  const away = Math.abs(minutes)
  return `UTC${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(away / 60))}:${twoDigits(away % 60)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
