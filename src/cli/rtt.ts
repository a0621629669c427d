import { MusterError } from '../base/index.ts'
import { type Coordinate, distanceS, type RpcClient } from '../serf/index.ts'
import { formatOf, type OutputOptions, print, printJson } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'

/** A member that is not there, or has not measured anything yet. */
class NoCoordinateError extends MusterError {
  readonly code = 'CLI_NO_COORDINATE'
}

/** The estimated round trip between two members; the second is the agent's own unless given. */
export async function runRtt(options: RpcOptions & OutputOptions, names: readonly string[]): Promise<void> {
  const format = formatOf(options)
  const found = await withRpc(options, async client => {
    const from = names[0] ?? ''
    const to = names[1] ?? (await client.stats())['agent']?.['name'] ?? ''
    return { from, to, seconds: distanceS(await coordinateOf(client, from), await coordinateOf(client, to)) }
  })
  const rttMs = Number((found.seconds * 1000).toFixed(3))
  if (format === 'json') printJson({ from: found.from, to: found.to, rttMs })
  else print(`Estimated ${found.from} <-> ${found.to} rtt: ${rttMs.toFixed(3)} ms`)
}

async function coordinateOf(client: RpcClient, name: string): Promise<Coordinate> {
  const coordinate = await client.coordinate(name)
  if (coordinate !== undefined) return coordinate
  throw new NoCoordinateError(
    `Could not find a coordinate for node "${name}"; is it a member (muster members), and has it been one for some seconds?`,
  )
}
