/** A pool as a whole, by its servers. */
import type { WhyVerdict } from '../../../api/index.ts'
import { age, counted } from '../../../base/index.ts'
import type { Code } from '../codes.ts'
import type { Facts, PoolFacts } from '../facts.ts'

/** @param its verdicts of what is, or should be, in it, the worst first */
export function poolVerdict(f: Facts, pool: PoolFacts, its: readonly WhyVerdict[]): WhyVerdict {
  const { name, ready, servers, minServers, holdMs, balancer } = pool
  const on = balancer === f.node ? '' : ` on ${balancer}`
  const [worst] = its.filter(one => one.severity !== 'ok')
  const because = worst === undefined ? '' : `: ${worst.sentence}`
  const verdict = (code: Code, severity: WhyVerdict['severity'], sentence: string) => ({
    code,
    severity,
    sentence,
    about: name,
  })
  if (ready === 0) {
    const hold = holdMs > 0 ? `, requests wait up to ${age(holdMs)}` : ''
    const none = servers === 0 && its.length === 0 ? ': no member announces it' : because
    return verdict('pool-empty', 'wrong', `pool ${name} has no server in traffic${on}${hold}${none}`)
  }
  const has = `pool ${name} has ${ready} of ${counted(servers, 'server')} in traffic${on}`
  if (ready < minServers) {
    const all = `pool ${name} has only ${counted(servers, 'server')}${on}, ${servers === 1 ? 'in traffic' : 'all in traffic'},`
    const few = ready === servers ? all : has
    return verdict('pool-below-minimum', 'wrong', `${few} and should have ${minServers} (min_servers)${because}`)
  }
  if (worst !== undefined) return verdict('pool-degraded', worst.severity, `${has}${because}`)
  return verdict('pool-well', 'ok', has)
}
