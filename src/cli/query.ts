import { parseDuration } from '../agent/config/duration.ts'
import type { RpcQueryAnswer } from '../serf/index.ts'
import { EXIT } from './exit.ts'
import { formatOf, interrupted, type OutputOptions, print, printJson, tell } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { printableLines } from './table.ts'
import { tagsFrom } from './tag-options.ts'
import { UsageError } from './usage-error.ts'

interface QueryOptions extends RpcOptions, OutputOptions {
  readonly node?: readonly string[]
  readonly tag?: readonly string[]
  readonly timeout?: string
  readonly ack?: boolean
  readonly relayFactor?: string
}

/** Asks the ring and prints who answered what, until the query's deadline. Ctrl-C: what has been heard, and exit status 1. */
export async function runQuery(options: QueryOptions, [name = '', payload = '']: readonly string[]): Promise<void> {
  const format = formatOf(options)
  const params = { name, payload: Buffer.from(payload), ...filtersFrom(options) }
  const quitting = interrupted()
  const acks: string[] = []
  const responses: Record<string, string> = {}
  const hear = ({ kind, from, payload: bytes }: RpcQueryAnswer) => {
    const text = Buffer.from(bytes ?? []).toString()
    if (kind === 'ack') acks.push(from)
    else responses[from] = text
    if (format === 'json') return
    if (kind === 'ack') tell(`Ack from '${printableLines(from)}'`)
    else print(`Response from '${printableLines(from)}': ${printableLines(text.replace(/\n$/, ''))}`)
  }
  await withRpc(options, async client => {
    const answers = await client.ask(params, quitting)
    if (format === 'text') tell(`Query '${name}' dispatched`)
    for await (const answer of answers) hear(answer)
  })
  if (format === 'json') printJson({ Acks: acks, Responses: responses })
  else
    tell(`${params.requestAck ? `Total Acks: ${acks.length}\n` : ''}Total Responses: ${Object.keys(responses).length}`)
  if (quitting.aborted) process.exitCode = EXIT.failed
}

function filtersFrom(options: QueryOptions) {
  const relayFactor = Number(options.relayFactor ?? 0)
  if (!Number.isInteger(relayFactor) || relayFactor < 0 || relayFactor > 255)
    throw new UsageError(`-relay-factor: "${options.relayFactor}" is not a number from 0 to 255`)
  const timeoutMs = parseDuration(options.timeout ?? '0')
  if (timeoutMs === undefined)
    throw new UsageError(`-timeout: "${options.timeout}" is not a duration; write 500ms or 15s`)
  const requestAck = options.ack !== false
  return {
    filterNodes: options.node ?? [],
    filterTags: tagsFrom(options.tag ?? []),
    relayFactor,
    timeoutMs,
    requestAck,
  }
}
