/**
 * Many members in one process, on the wire the same as agents: Muster's gossip by its own door, without what an agent has
 * besides. `tsx bench/members.ts PLAN`, a `MembersPlan` as JSON. Prints `first T` when the first one joins, and `last T` when
 * the last one has joined; T is milliseconds since 1970. Runs until it is killed.
 */
import { silentLog, sleep, systemClock, systemRandom } from '../src/base/index.ts'
import { type RpcBackend, type Serf, startRpcServer, startSerf } from '../src/serf/index.ts'
import type { MembersPlan } from './members-plan.ts'

const deps = { clock: systemClock, random: systemRandom, log: silentLog }

async function startMember(name: string, ip: string, plan: MembersPlan): Promise<void> {
  const serf = await startSerf({ name, bind: { ip, port: 7946 }, profile: 'lan', tags: plan.tags }, deps)
  if (plan.rpc) await startRpcServer({ bind: { ip, port: 7373 } }, { ...deps, backend: backendOf(serf) })
  const { contacted } = ip === plan.join.split(':')[0] ? { contacted: 1 } : await serf.join([plan.join])
  if (contacted === 0) throw new Error(`${name} could not join ${plan.join}`)
}

function backendOf(serf: Serf): RpcBackend {
  return {
    members: () => serf.members(),
    join: (addresses, options) => serf.join([...addresses], options),
    leave: () => serf.leave(),
    forceLeave: (name, prune) => serf.forceLeave(name, prune),
    userEvent: (name, payload, coalesce) => serf.userEvent(name, payload, coalesce),
    tags: () => serf.tags(),
    setTags: tags => serf.setTags(tags),
    stats: () => ({ serf: serf.stats() }),
    onEvent: listener => serf.onEvent(listener),
    query: () => Promise.reject(new Error('a member of the benchmark answers no queries')),
  }
}

async function main(plan: MembersPlan): Promise<void> {
  const startedAtMs = performance.now()
  console.log(`first ${Date.now()}`)
  const joining = Object.entries(plan.ips).map(async ([number, ip], index) => {
    await sleep(systemClock, Math.max(0, startedAtMs + index * plan.everyMs - performance.now()))
    await startMember(`n${number}`, ip, plan)
  })
  await Promise.all(joining)
  console.log(`last ${Date.now()}`)
}

await main(JSON.parse(process.argv[2] ?? '') as MembersPlan)
