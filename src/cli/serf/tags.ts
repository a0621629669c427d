import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand, say } from './console.ts'
import { tagPairs } from './tag-pairs.ts'
import { HELP } from './texts.ts'

export const tags: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'tags', { set: 'list', delete: 'list' }, args)
  if (parsed === undefined) return 1
  const { set = [], delete: removed = [] } = parsed.flags
  if (set.length === 0 && removed.length === 0) {
    console.out(HELP.tags)
    return 1
  }
  return withAgent(console, parsed.flags, async client => {
    const pairs = tagPairs(console, set)
    if (pairs === undefined) return 1
    return orSay(console, 'Error setting tags', async () => {
      await client.tags(pairs, removed)
      say(console, 'Successfully updated agent tags')
      return 0
    })
  })
}
