import type { Target } from './target.ts'
import { configTargets } from './targets/config.ts'
import { memberlistTargets } from './targets/memberlist.ts'
import { rpcTargets } from './targets/rpc.ts'
import { serfTargets } from './targets/serf.ts'

/** Every decoder that a stranger, a peer, a disk or an operator can reach; that of mDNS is tried with any bytes beside its code. */
export const targets: readonly Target[] = [...memberlistTargets, ...serfTargets, ...rpcTargets, ...configTargets]
