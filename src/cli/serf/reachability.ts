import type { RpcQueryAnswer, RpcSubscription } from '../../serf/index.ts'
import { orSay, withAgent } from './connect.ts'
import { type Console, flagsOf, type SerfCommand, say } from './console.ts'

const TOO_MANY_ACKS = `This could mean Serf is detecting false-failures due to a misconfiguration or network issue.`
const TOO_FEW_ACKS = `This could mean Serf gossip packets are being lost due to a misconfiguration or network issue.`
const DUPLICATE_ACKS = `Duplicate responses means there is a misconfiguration. Verify that node names are unique.`
const TIPS = `
Troubleshooting tips:
* Ensure that the bind addr:port is accessible by all other nodes
* If an advertise address is set, ensure it routes to the bind address
* Check that no nodes are behind a NAT
* If nodes are behind firewalls or iptables, check that Serf traffic is permitted (UDP and TCP)
* Verify networking equipment is functional`

export const reachability: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'reachability', { verbose: 'boolean' }, args)
  if (parsed === undefined) return 1
  const interrupted = console.interrupted()
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error getting members', async () => {
      const members = await client.members()
      const alive = new Set(members.filter(({ status }) => status === 'alive').map(({ name }) => name))
      say(console, `Total members: ${members.length}, live members: ${alive.size}`)
      say(console, 'Starting reachability test...')
      return orSay(console, 'Error sending query', async () => {
        const answers = await client.ask({ name: '_serf_ping', requestAck: true }, interrupted)
        const heard = await hear(console, answers, parsed.flags.verbose === true)
        return interrupted.aborted ? say(console, 'Test interrupted') : judge(console, alive, heard)
      })
    }),
  )
}

interface Heard {
  /** Doubled ones count twice, as in Serf. */
  readonly acks: number
  readonly from: ReadonlySet<string>
}

async function hear(console: Console, answers: RpcSubscription<RpcQueryAnswer>, isVerbose: boolean): Promise<Heard> {
  const startedMs = console.clock.nowMs()
  const since = () => ((console.clock.nowMs() - startedMs) / 1000).toFixed(2)
  const from = new Set<string>()
  let acks = 0
  let last = since()
  for await (const { from: name } of answers) {
    if (isVerbose) say(console, `\tAck from '${name}'`)
    last = since()
    acks++
    if (from.has(name)) say(console, `Duplicate response from '${name}'`)
    from.add(name)
  }
  if (isVerbose) say(console, `Query time: ${since()} sec, time to last response: ${last} sec`)
  return { acks, from }
}

function judge(console: Console, alive: ReadonlySet<string>, { acks, from }: Heard): number {
  const isDoubled = acks > from.size
  if (isDoubled) say(console, DUPLICATE_ACKS)
  const isMore = acks > alive.size
  if (acks === alive.size) {
    say(console, 'Successfully contacted all live nodes')
    return isDoubled ? 1 : 0
  }
  say(
    console,
    isMore
      ? 'Received more acks than live nodes! Acks from non-live nodes:'
      : 'Received less acks than live nodes! Missing acks from:',
  )
  const odd = isMore ? [...from].filter(name => !alive.has(name)) : [...alive].filter(name => !from.has(name))
  for (const name of odd) say(console, `\t${name}`)
  return say(console, `${isMore ? TOO_MANY_ACKS : TOO_FEW_ACKS}\n${TIPS}`)
}
