import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand, say, sayWithHelp } from './console.ts'

export const TOO_MANY = 'Too many command line arguments. Only a name and payload must be specified.'

export const event: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'event', { coalesce: 'boolean' }, args)
  if (parsed === undefined) return 1
  const [name, payload = '', ...more] = parsed.rest
  if (name === undefined) return sayWithHelp(console, 'event', 'An event name must be specified.')
  if (more.length > 0) return sayWithHelp(console, 'event', TOO_MANY)
  const coalesce = parsed.flags.coalesce ?? true
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error sending event', async () => {
      await client.event(name, Buffer.from(payload), coalesce)
      say(console, `Event '${name}' dispatched! Coalescing enabled: ${coalesce}`)
      return 0
    }),
  )
}
