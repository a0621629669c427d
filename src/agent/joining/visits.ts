import type { Clock, Random, Scope, Timer } from '../../base/index.ts'
import type { Serf } from '../../serf/index.ts'
import { aliveBalancers } from '../endpoints/announcer.ts'

const VISIT_MS = 1_000
/** So many visits a second are enough for one balancer; in large rings members take turns by chance. */
const VISITS_PER_SECOND = 4

/**
 * Pings one balancer, in turn, out of the failure detector's own turn: each member is probed once a second on average, whatever
 * the size of the ring, but by chance not for two or three; a balancer that was replaced by an empty one serves nobody
 * until somebody has pinged it (it then asks for that member's list). One packet a second.
 */
export function visitBalancers(
  serf: Serf,
  deps: { readonly clock: Clock; readonly random: Random },
  scope: Scope,
): void {
  const { clock, random } = deps
  let round = random.below(1000)
  let timer: Timer | undefined
  const visit = () => {
    timer = clock.after(VISIT_MS, visit)
    const balancers = aliveBalancers(serf)
    const balancer = balancers[round++ % Math.max(1, balancers.length)]
    const share = (VISITS_PER_SECOND * balancers.length) / serf.members().length
    if (balancer !== undefined && random.float() < share) serf.memberlist.visit(balancer)
  }
  timer = clock.after(VISIT_MS, visit)
  scope.defer(() => timer?.cancel())
}
