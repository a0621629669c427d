import { formatAddress } from '../base/index.ts'
import { decodeRpcEvent, type RpcEventRecord, type SerfMember } from '../serf/index.ts'
import { formatOf, interrupted, type OutputOptions, print, printJson } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { printable, printableLines } from './table.ts'

interface MonitorOptions extends RpcOptions, OutputOptions {
  readonly logLevel?: string
  readonly since?: string
  readonly socket?: string
}

/** The agent's log, what it has kept first, and the ring's events, until Ctrl-C. In JSON, one record a line. */
export async function runMonitor(options: MonitorOptions): Promise<void> {
  const isJson = formatOf(options) === 'json'
  const quitting = interrupted()
  if (options.since !== undefined)
    return await (await import('./events.ts')).runEvents(options, options.since, quitting)
  const onLine = (log: string) => (isJson ? printJson({ log }, 'compact') : print(printableLines(log)))
  const onEvent = (event: RpcEventRecord) =>
    isJson ? printJson(eventJson(event), 'compact') : print(`event ${eventText(event)}`)
  await withRpc(options, async client => {
    const events = await client.events('*', quitting)
    const lines = await client.monitor(options.logLevel ?? 'info', quitting)
    await Promise.all([each(lines, onLine), each(events, record => onEvent(decodeRpcEvent(record)))])
  })
}

async function each<T>(items: AsyncIterable<T>, act: (item: T) => void): Promise<void> {
  for await (const item of items) act(item)
}

/** `member-join n2 10.0.0.2:7946 alive role=db`, `user deploy ltime=3 coalesce=true payload="v2"`. */
export function eventText(event: RpcEventRecord): string {
  if (event.kind !== 'user' && event.kind !== 'query')
    return `${printable(event.kind)} ${event.members.map(memberText).join('; ')}`
  const payload = event.payload.length === 0 ? '' : ` payload=${JSON.stringify(Buffer.from(event.payload).toString())}`
  const coalesce = event.kind === 'user' ? ` coalesce=${event.coalesce}` : ''
  return `${event.kind} ${printable(event.name)} ltime=${event.ltime}${coalesce}${payload}`
}

function memberText(member: SerfMember): string {
  const tags = Object.entries(member.tags).map(([key, value]) => ` ${key}=${value}`)
  return printable(`${member.name} ${formatAddress(member)} ${member.status}${tags.join('')}`)
}

function eventJson(event: RpcEventRecord): object {
  const { kind, name, ltime } = event
  if (kind !== 'user' && kind !== 'query') {
    const members = event.members.map(member => {
      return { name: member.name, addr: formatAddress(member), tags: member.tags, status: member.status }
    })
    return { event: kind, members }
  }
  const payload = Buffer.from(event.payload).toString()
  return { event: kind, name, ltime, payload, ...(kind === 'user' ? { coalesce: event.coalesce } : {}) }
}
