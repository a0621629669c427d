import type { Clock, Log, Scope } from '../base/index.ts'
import { coalesceEvents, type Engine, type SerfEvent } from '../serf/index.ts'
import type { AgentConfig } from './config/index.ts'
import { isOwnBusiness } from './drain.ts'
import { runScript } from './drivers/script.ts'
import { EventHandlers } from './event-handlers.ts'
import { parseHandler } from './handler-spec.ts'

/** A script that runs when the agent ends may finish what it does for this long. */
const LAST_SCRIPTS_MS = 2_000

/** Runs the configured event handlers, in batches as Serf does; unlike Serf's, they hear of every change of a member. */
export function startHandlers(
  config: AgentConfig,
  deps: { clock: Clock; log: Log; serf: Engine },
  scope: Scope,
): EventHandlers {
  const { serf, clock } = deps
  const handlers = new EventHandlers({
    specs: config.handlers.map(parseHandler),
    selfName: config.node.name,
    tags: () => serf.tags(),
    spawn: runScript,
    log: deps.log.child({ room: 'handlers' }),
    clock,
  })
  scope.defer(() => handlers.stop({ drainMs: LAST_SCRIPTS_MS }))
  const coalesced = coalesceEvents(event => handlers.handle(event), clock, { keepsAll: true })
  scope.defer(() => coalesced.flush())
  const handle = serf.coalesces ? (event: SerfEvent) => handlers.handle(event) : coalesced
  scope.defer(
    serf.onEvent(event => {
      if (!handlers.isIdle && !isOwnBusiness(event)) handle(event)
    }),
  )
  return handlers
}
