import type { RpcQueryAnswer, RpcSubscription } from '../../serf/index.ts'
import { orSay, withAgent } from './connect.ts'
import { type Console, flagsOf, type SerfCommand, say, sayWithHelp } from './console.ts'
import { TOO_MANY } from './event.ts'
import { jsonText, sortedRecord } from './go-text.ts'
import { tagPairs } from './tag-pairs.ts'

const FLAGS = {
  format: 'text',
  node: 'list',
  tag: 'list',
  timeout: 'duration',
  'no-ack': 'boolean',
  'relay-factor': 'integer',
} as const

export const query: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'query', FLAGS, args)
  if (parsed === undefined) return 1
  const { flags } = parsed
  const filterTags = tagPairs(console, flags.tag ?? [])
  if (filterTags === undefined) return 1
  const [name, payload = '', ...more] = parsed.rest
  if (name === undefined) return sayWithHelp(console, 'query', 'A query name must be specified.')
  if (more.length > 0) return sayWithHelp(console, 'query', TOO_MANY)
  const relayFactor = flags['relay-factor'] ?? 0
  if (relayFactor < 0 || relayFactor > 255) return say(console, 'Relay factor must be between 0 and 255')
  const requestAck = flags['no-ack'] !== true
  const interrupted = console.interrupted()
  return withAgent(console, flags, async client => {
    const format = flags.format ?? 'text'
    const report = reportFor(format, console, requestAck)
    if (report === undefined) return say(console, `Invalid format: ${format}`)
    const params = {
      ...{ name, payload: Buffer.from(payload), filterNodes: flags.node ?? [], filterTags, relayFactor, requestAck },
      timeoutMs: (flags.timeout ?? 0) / 1e6,
    }
    return orSay(console, 'Error sending query', async () => {
      const answers = await client.ask(params, interrupted)
      report.started(name)
      await hear(answers, report)
      if (interrupted.aborted) return 1
      report.finished()
      return 0
    })
  })
}

/** A connection that ends in the middle ends the answers. */
async function hear(answers: RpcSubscription<RpcQueryAnswer>, report: Report): Promise<void> {
  try {
    for await (const answer of answers) report.heard(answer)
  } catch {
    return // as Serf's command: what has been heard is told
  }
}

interface Report {
  started(name: string): void
  heard(answer: RpcQueryAnswer): void
  finished(): void
}

function reportFor(format: string, console: Console, requestAck: boolean): Report | undefined {
  if (format === 'text') return textReport(console, requestAck)
  return format === 'json' ? jsonReport(console) : undefined
}

function textReport(console: Console, requestAck: boolean): Report {
  let acks = 0
  let responses = 0
  return {
    started: name => void say(console, `Query '${name}' dispatched`),
    heard({ kind, from, payload = new Uint8Array(0) }) {
      if (kind === 'ack') {
        acks++
        say(console, `Ack from '${from}'`)
        return
      }
      responses++
      const text = payload.at(-1) === 0x0a ? payload.subarray(0, -1) : payload
      console.out(Buffer.concat([Buffer.from(`Response from '${from}': `), text, Buffer.from('\n')]))
    },
    finished() {
      if (requestAck) say(console, `Total Acks: ${acks}`)
      say(console, `Total Responses: ${responses}`)
    },
  }
}

function jsonReport(console: Console): Report {
  const acks: string[] = []
  const responses: Record<string, Uint8Array> = {}
  return {
    started: () => undefined,
    heard({ kind, from, payload = new Uint8Array(0) }) {
      if (kind === 'ack') acks.push(from)
      else responses[from] = payload
    },
    finished() {
      say(console, jsonText({ Acks: acks.length === 0 ? null : acks, Responses: sortedRecord(responses) }))
    },
  }
}
