import pino from 'pino'
import type { Log } from '../base/index.ts'
import { UNSEEN } from './table.ts'

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  readonly format: 'text' | 'json'
}

/**
 * The process's logger: one line a record on standard error, for people in Serf's form, or JSON. When whoever reads it is gone
 * (a log collector that restarts, `| head`), lines are lost and the agent goes on.
 * @param also gets what is printed, too
 */
export function createLog(config: LogConfig, out: LogOut = process.stderr, also?: LogSink): ProcessLog {
  out.on('error', () => undefined) // EPIPE: there is nobody left who could be told
  const lines = new LogLines()
  const isText = config.format === 'text'
  let levelMin = numberOf(config.level)
  // Everything is kept for a while: whoever monitors over RPC may ask for more than is printed here.
  const destination = {
    [Symbol.for('pino.metadata')]: true, // it is told each record's level
    lastLevel: 0,
    write(record: string) {
      lines.write(record)
      if (this.lastLevel < levelMin) return
      out.write(isText ? `${formatRecord(record)}\n` : record)
      also?.(this.lastLevel, record)
    },
  }
  const options = { level: 'trace', base: null, timestamp: pino.stdTimeFunctions.epochTime }
  const setLevel = (level: LogConfig['level']) => {
    levelMin = numberOf(level)
  }
  return Object.assign(pino(options, destination) as unknown as Log, { lines, setLevel })
}

/** Where lines are printed: a stream. */
export interface LogOut {
  write(line: string): unknown
  on(event: 'error', listener: () => void): unknown
}

/** One record of pino's, with its level. */
export type LogSink = (level: number, record: string) => void

/** A log whose newest lines can be read, and whose printed level can be changed. */
export interface ProcessLog extends Log {
  readonly lines: LogLines
  /** For this log and all its children. */
  setLevel(level: LogConfig['level']): void
}

function numberOf(level: LogConfig['level']): number {
  return pino.levels.values[level] ?? 30
}

/** As many lines as Serf keeps for `monitor`. */
const LINES_KEPT = 512
const CHARS_KEPT = 1024 * 1024

/** The newest lines of the log, of every level, in Serf's form whatever form is printed; formatted only when somebody looks. */
export class LogLines {
  readonly #records: string[] = []
  readonly #listeners = new Set<(line: string) => void>()
  #chars = 0

  /** One record of pino's. */
  write(record: string): void {
    this.#records.push(record)
    this.#chars += record.length
    while (this.#records.length > LINES_KEPT || this.#chars > CHARS_KEPT) {
      this.#chars -= this.#records.shift()?.length ?? 0
    }
    if (this.#listeners.size === 0) return
    const line = formatRecord(record)
    for (const listener of this.#listeners) listener(line)
  }

  /** Oldest first. */
  recent(): string[] {
    return this.#records.map(formatRecord)
  }

  /** @returns how to stop listening */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERR',
  60: 'ERR',
}

/** `2026/11/21 09:34:47 [INFO] serf: sentence field=value`, local time, as Serf 0.10 writes it. */
export function formatRecord(json: string): string {
  const { level, time, ...said } = JSON.parse(json) as Record<string, unknown>
  return `${dateText(new Date(Number(time)))} [${LEVELS[Number(level)] ?? 'INFO'}] ${textOf(said)}`
}

/** `serf: sentence field=value`: without date and level, which syslog has of its own. */
export function messageText(json: string): string {
  const { level: _, time: __, ...said } = JSON.parse(json) as Record<string, unknown>
  return textOf(said)
}

function textOf({ msg, room, service, ...fields }: Record<string, unknown>): string {
  const who = service === undefined ? String(room ?? 'agent') : `service ${String(service)}`
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`)
  return oneLine(`${who}: ${String(msg ?? '')}${rest.join('')}`)
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? 'undefined'
}

/** A service's output must not forge lines of ours, nor move the terminal's cursor, nor turn the order of letters round. */
function oneLine(text: string): string {
  return text.replace(UNSEEN, char => {
    const code = char.charCodeAt(0).toString(16)
    return char === '\t' ? ' ' : code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`
  })
}

function dateText(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}
