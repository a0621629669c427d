import { type OutputOptions, report } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { UsageError } from './usage-error.ts'

interface EventOptions extends RpcOptions, OutputOptions {
  readonly coalesce?: string
}

/** Sends a user event to every member. */
export async function runEvent(options: EventOptions, [name = '', payload = '']: readonly string[]): Promise<void> {
  const coalesce = coalesceFrom(options.coalesce ?? 'true')
  await withRpc(options, client => client.event(name, Buffer.from(payload), coalesce))
  const sentence = `Event '${name}' dispatched! Coalescing enabled: ${coalesce}`
  report(options, sentence, { event: name, payload, coalesce })
}

function coalesceFrom(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new UsageError(`-coalesce: "${text}" is neither true nor false`)
}
