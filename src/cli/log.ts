import { Writable } from 'node:stream'
import pino from 'pino'
import type { Log } from '../base/index.ts'

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  readonly format: 'text' | 'json'
}

/**
 * The process's logger: one line a record on standard error, for people in Serf's form, or JSON. When whoever reads it is gone
 * (a log collector that restarts, `| head`), lines are lost and the agent goes on.
 */
export function createLog(config: LogConfig, out: NodeJS.WritableStream = process.stderr): Log {
  out.on('error', () => undefined) // EPIPE: there is nobody left who could be told
  const options = { level: config.level, base: null, timestamp: pino.stdTimeFunctions.epochTime }
  if (config.format === 'json') return pino(options, out as Writable) as unknown as Log
  const lines = { write: (record: string) => void out.write(`${formatRecord(record)}\n`) }
  return pino(options, lines) as unknown as Log
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERR',
  60: 'ERR',
}

/** `2026/11/21 09:34:47 [INFO] serf: sentence field=value`, local time (serf-agent.md 9). */
export function formatRecord(json: string): string {
  const record = JSON.parse(json) as Record<string, unknown>
  const { level, time, msg, room, service, ...fields } = record
  const who = service === undefined ? String(room ?? 'agent') : `service ${String(service)}`
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`)
  return `${dateText(new Date(Number(time)))} [${LEVELS[Number(level)] ?? 'INFO'}] ${who}: ${oneLine(String(msg ?? ''))}${rest.join('')}`
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? 'undefined'
}

/** A service's output must not forge lines of ours, nor move the terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, char =>
    char === '\t' ? ' ' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

function dateText(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}
