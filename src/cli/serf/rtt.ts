import { distanceS } from '../../serf/index.ts'
import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand, say, sayWithHelp } from './console.ts'
import { quoted } from './go-text.ts'

export const rtt: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'rtt', {}, args)
  if (parsed === undefined) return 1
  return withAgent(console, parsed.flags, async client => {
    const [first, given, ...more] = parsed.rest
    if (first === undefined || more.length > 0)
      return sayWithHelp(console, 'rtt', 'One or two node names must be specified')
    return orSay(console, 'Error querying agent', async () => {
      const second = given ?? (await client.stats())['agent']?.['name'] ?? ''
      return orSay(console, 'Error getting coordinates', async () => {
        const from = await client.coordinate(first)
        if (from === undefined) return say(console, unknown(first))
        const to = await client.coordinate(second)
        if (to === undefined) return say(console, unknown(second))
        say(console, `Estimated ${first} <-> ${second} rtt: ${(distanceS(from, to) * 1000).toFixed(3)} ms`)
        return 0
      })
    })
  })
}

function unknown(name: string): string {
  return `Could not find a coordinate for node ${quoted(name)}`
}
