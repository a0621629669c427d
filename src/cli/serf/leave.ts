import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand, say } from './console.ts'

export const leave: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'leave', {}, args)
  if (parsed === undefined) return 1
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error leaving', async () => {
      await client.leave()
      say(console, 'Graceful leave complete')
      return 0
    }),
  )
}
