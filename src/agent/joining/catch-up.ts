/**
 * After a start: what an earlier agent left running becomes what is configured now. Nothing of it is hurried: every balancer has
 * let go of a process before it ends.
 */
import { type Clock, type Log, messageOf, sleep } from '../../base/index.ts'
import type { Engine } from '../../serf/index.ts'
import type { ServiceStatus, Supervisor } from '../../supervisor/index.ts'

/** Balancers that have not been met cannot be asked to let go; so long is waited for company, if there is anybody to join. */
const COMPANY_WAIT_MS = 10_000
/** Without anybody to join: others may join us, or the snapshot knows them. */
const VISIT_WAIT_MS = 3_000

export interface CatchUpDeps {
  readonly clock: Clock
  readonly log: Log
  readonly serf: Engine
  readonly supervisor: Supervisor
  /** Drain, stop, start anew; drain and end. */
  readonly agent: { restartService(name: string): Promise<void>; removeService(name: string): Promise<void> }
  /** Peers are configured. */
  readonly joins: boolean
}

const ORPHAN = 'this service is not in the configuration any more; draining and ending it'
const STALE =
  'this service runs with another command, environment, directory, user or port than configured; draining and restarting it'

/** Ends what is configured no more, then restarts what is configured otherwise, one after the other. Never throws. */
export async function catchUp(deps: CatchUpDeps, signal: AbortSignal): Promise<void> {
  const { supervisor, agent, log } = deps
  const found = supervisor.services()
  const orphans = found.filter(service => service.orphan)
  const stale = found.filter(service => service.stale && !service.orphan && service.name !== 'haproxy')
  if (orphans.length + stale.length === 0) return
  if (found.some(service => service.serves !== undefined)) await untilCompany(deps, signal)
  const act = async (service: ServiceStatus, why: string, how: () => Promise<void>) => {
    if (signal.aborted) return
    log.warn({ service: service.name, pid: service.pid }, why)
    try {
      await how()
      log.info({ service: service.name }, 'what runs is what is configured')
    } catch (failure) {
      log.error({ service: service.name, reason: messageOf(failure) }, 'could not make what runs what is configured')
    }
  }
  await Promise.all(orphans.map(orphan => act(orphan, ORPHAN, () => agent.removeService(orphan.name))))
  for (const service of stale) await act(service, STALE, () => agent.restartService(service.name))
}

async function untilCompany({ serf, clock, joins }: CatchUpDeps, signal: AbortSignal): Promise<void> {
  const isAlone = () => !serf.members().some(({ name, status }) => status === 'alive' && name !== serf.local().name)
  if (!isAlone()) return
  let stop = () => {}
  const met = new Promise<void>(resolve => {
    stop = serf.onChange(() => void (isAlone() || resolve()))
  })
  await Promise.race([met, sleep(clock, joins ? COMPANY_WAIT_MS : VISIT_WAIT_MS, signal).catch(() => undefined)])
  stop()
}
