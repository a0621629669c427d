import type { Clock, Log, Scope } from '../../base/index.ts'
import { coalesceEvents, type Engine, type SerfEvent } from '../../serf/index.ts'
import type { AgentConfig } from '../config/index.ts'
import { isOwnBusiness } from '../endpoints/drain.ts'
import { runScript } from './drivers/script.ts'
import { EventHandlers } from './event-handlers.ts'
import { parseHandler } from './handler-spec.ts'

/** A script that runs when the agent ends may finish what it does for this long. */
const LAST_SCRIPTS_MS = 2_000

/** Of those that come before handlers run, which is a second or two. */
const EARLY_EVENTS_MAX = 4096

/**
 * What happens in the ring before handlers can run, since scripts may ask the agent: this node's own join, which comes first as
 * in Serf, and members that are found at once.
 * @param gossips false: a real agent is the engine, and was in the ring before us
 * @returns what has happened so far; nothing is collected from then on
 */
export function collectEarly(serf: Engine, gossips: boolean): () => SerfEvent[] {
  const events: SerfEvent[] = gossips ? [{ kind: 'member-join', members: [serf.local()] }] : []
  const stop = serf.onEvent(event => void (events.length < EARLY_EVENTS_MAX && events.push(event)))
  return () => {
    stop()
    return events.splice(0)
  }
}

/**
 * Runs the configured event handlers, in batches as Serf does; unlike Serf's, they hear of every change of a member.
 * @param early what they are told of first
 */
export function startHandlers(
  config: AgentConfig,
  deps: { clock: Clock; log: Log; serf: Engine },
  scope: Scope,
  early: readonly SerfEvent[] = [],
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
  const hear = (event: SerfEvent) => {
    if (!handlers.isIdle && !isOwnBusiness(event)) handle(event)
  }
  for (const event of early) hear(event)
  scope.defer(serf.onEvent(hear))
  return handlers
}
