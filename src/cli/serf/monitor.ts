import { messageOf } from '../../base/index.ts'
import type { RpcSubscription } from '../../serf/index.ts'
import { orSay, withAgent } from './connect.ts'
import { type Console, flagsOf, type SerfCommand, say } from './console.ts'
import { goSyntax } from './go-text.ts'

export const monitor: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'monitor', { 'log-level': 'text' }, args)
  if (parsed === undefined) return 1
  const quitting = console.interrupted()
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error starting stream', async () => {
      const events = await client.events('*', quitting)
      return orSay(console, 'Error starting monitor', async () => {
        const lines = await client.monitor(parsed.flags['log-level'] ?? 'INFO', quitting)
        const printed = [print(events, record => printEvent(console, record)), print(lines, line => say(console, line))]
        await Promise.race(printed)
        if (!quitting.aborted) return say(console, `\n${REMOTE_ENDED}`)
        await Promise.allSettled([lines.stop(), events.stop()])
        return 0
      })
    }),
  )
}

const REMOTE_ENDED = 'Remote side ended the monitor! This usually means that the\nremote side has exited or crashed.'

/** Until there are no more, for whatever reason. */
async function print<T>(items: RpcSubscription<T>, act: (item: T) => void): Promise<string> {
  try {
    for await (const item of items) act(item)
    return ''
  } catch (failure) {
    return messageOf(failure) // the caller sees the end, and why does not matter to Serf's users
  }
}

type EventRecord = ReadonlyMap<string, Parameters<typeof goSyntax>[0]>

function printEvent(console: Console, record: EventRecord): void {
  const fields = Array.from(record, ([name, value]) => `\t${name}: ${goSyntax(value)}\n`)
  console.out(`Event Info:\n${fields.join('')}`)
}
