import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand, say, sayWithHelp } from './console.ts'

export const join: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'join', { replay: 'boolean' }, args)
  if (parsed === undefined) return 1
  if (parsed.rest.length === 0) return sayWithHelp(console, 'join', 'At least one address to join must be specified.')
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error joining the cluster', async () => {
      const count = await client.join(parsed.rest, parsed.flags.replay === true)
      say(console, `Successfully joined cluster by contacting ${count} nodes.`)
      return 0
    }),
  )
}
