import { EXIT } from './exit.ts'
import { formatOf, interrupted, type OutputOptions, print, printJson, tell } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { printable } from './table.ts'

interface ReachabilityOptions extends RpcOptions, OutputOptions {
  readonly verbose?: boolean
}

interface Found {
  readonly members: number
  readonly alive: number
  readonly acks: readonly string[]
  /** Alive, but not heard of. */
  readonly missing: readonly string[]
  /** Heard of, but not alive. */
  readonly surplus: readonly string[]
  /** Heard of twice: two nodes of one name. */
  readonly doubled: readonly string[]
}

/** Asks every live member for an ack, and compares. Exit status 1 when the two do not agree. */
export async function runReachability(options: ReachabilityOptions): Promise<void> {
  const format = formatOf(options)
  const quitting = interrupted()
  const found = await withRpc(options, async client => {
    const members = await client.members()
    const alive = new Set(members.filter(({ status }) => status === 'alive').map(({ name }) => name))
    tell(`Total members: ${members.length}, live members: ${alive.size}. Asking them…`)
    const acks: string[] = []
    for await (const { from } of await client.ask({ name: '_serf_ping', requestAck: true }, quitting)) {
      if (options.verbose === true) tell(`Ack from '${printable(from)}'`)
      acks.push(from)
    }
    return compared(members.length, alive, acks)
  })
  if (quitting.aborted) tell('Test interrupted; what follows is what was heard until then')
  if (format === 'json') printJson(found)
  else print(verdict(found))
  if (quitting.aborted || found.missing.length + found.surplus.length + found.doubled.length > 0)
    process.exitCode = EXIT.failed
}

export function compared(members: number, alive: ReadonlySet<string>, acks: readonly string[]): Found {
  const heard = new Set(acks)
  return {
    ...{ members, alive: alive.size, acks: [...heard] },
    missing: [...alive].filter(name => !heard.has(name)),
    surplus: [...heard].filter(name => !alive.has(name)),
    doubled: [...new Set(acks.filter((name, i) => acks.indexOf(name) !== i))],
  }
}

/** A sentence per finding, with what to do. */
export function verdict({ missing, surplus, doubled }: Found): string {
  const list = (names: readonly string[]) => names.map(printable).join(', ')
  const sentences = [
    ...(missing.length > 0
      ? [`No ack from: ${list(missing)}. Is their gossip port open, UDP and TCP, in both directions?`]
      : []),
    ...(surplus.length > 0
      ? [`Acks from members that do not count as alive: ${list(surplus)}. Are probes being lost?`]
      : []),
    ...(doubled.length > 0 ? [`More than one ack from: ${list(doubled)}. Two nodes have one name; rename one.`] : []),
  ]
  return sentences.length === 0 ? 'Successfully contacted all live nodes' : sentences.join('\n')
}
