/** What an agent's RPC bears: calls per second on one connection and on eight, and what each costs the agent. */
import type { RpcClient } from '../src/serf/index.ts'
import { connectRpc } from '../src/serf/index.ts'
import type { Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { onLoopback } from './place.ts'
import { processorMs } from './processor.ts'
import { Ring } from './ring.ts'
import { head, row } from './table.ts'

const NET = '127.0.67'
const HOSTS = { serf: 1, muster: 2 }
const CALLS = 4_000
const CONNECTIONS = 8
const REPETITIONS = 5

type Call = (client: RpcClient) => Promise<unknown>

const COMMANDS: Readonly<Record<string, Call>> = {
  members: client => client.members(),
  stats: client => client.stats(),
}

interface Rate {
  readonly callsPerSecond: number
  /** Microseconds of the agent's processor time for each call. */
  readonly agentUs: number
}

export async function rpcTable(bench: Bench): Promise<void> {
  await using ring = new Ring(onLoopback(NET), bench.directory)
  const [theirs] = await ring.startSerfs([HOSTS.serf])
  const [ours] = await ring.startMusters([HOSTS.muster])
  await ring.untilWhole(2)
  ring.hangUp()
  if (ours === undefined || theirs === undefined) throw new Error('both agents run')
  console.log(head('RPC of an agent in a ring of 2', 'serf'))
  for (const [name, call] of Object.entries(COMMANDS)) {
    for (const connections of [1, CONNECTIONS]) {
      bench.note(`${name}, connections: ${connections}`)
      const rates = { ours: [] as Rate[], theirs: [] as Rate[] }
      for (let i = 0; i < REPETITIONS; i++) {
        rates.ours.push(await rateOf(call, connections, HOSTS.muster, ours))
        rates.theirs.push(await rateOf(call, connections, HOSTS.serf, theirs))
      }
      bench.each(`${name} ${connections}`, rates)
      print(`${name}, connections: ${connections}`, rates.ours, rates.theirs)
    }
  }
}

function print(name: string, ours: readonly Rate[], theirs: readonly Rate[]): void {
  const line = (what: string, key: keyof Rate) =>
    row(
      what,
      ours.map(rate => rate[key]),
      theirs.map(rate => rate[key]),
    )
  console.log(line(`${name}: calls per s`, 'callsPerSecond'))
  console.log(line('… agent, µs of processor per call', 'agentUs'))
}

/** The same number of calls, one after another on each connection. */
async function rateOf(call: Call, connections: number, host: number, agent: Part): Promise<Rate> {
  const pid = agent.child.pid as number
  const address = { ip: `${NET}.${host}`, port: 7373 }
  const clients = await Promise.all(
    Array.from({ length: connections }, () => connectRpc(address, { timeoutMs: 5_000 })),
  )
  const beforeMs = processorMs(pid)
  const startedAtMs = performance.now()
  const work = async (client: RpcClient): Promise<void> => {
    for (let i = 0; i < CALLS / connections; i++) await call(client)
  }
  await Promise.all(clients.map(work))
  const seconds = (performance.now() - startedAtMs) / 1_000
  const agentMs = processorMs(pid) - beforeMs
  for (const client of clients) client.close()
  return { callsPerSecond: CALLS / seconds, agentUs: (agentMs * 1_000) / CALLS }
}
