import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand, sayWithHelp } from './console.ts'

export const forceLeave: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'force-leave', { prune: 'boolean' }, args)
  if (parsed === undefined) return 1
  const [name, ...more] = parsed.rest
  if (name === undefined || more.length > 0)
    return sayWithHelp(console, 'force-leave', 'A node name must be specified to force leave.')
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error force leaving', async () => {
      await client.forceLeave(name, parsed.flags.prune === true)
      return 0
    }),
  )
}
