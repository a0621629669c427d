/**
 * The running program's table of contents: what is this agent's alone is claimed; then services, so that the very first alive
 * tells what is ready; then the ring, the balancer, and the ways in. Everything is owned by a scope and ends last first.
 */
import { join } from 'node:path'
import { type Clock, type Log, type Random, Scope, sleep } from '../base/index.ts'
import { type Engine, type RpcLogSource, type Serf, startRpcServer } from '../serf/index.ts'
import { type Supervisor, startSupervisor } from '../supervisor/index.ts'
import { untilAdoptedAreReady } from './services/adopted.ts'
import { Agent } from './agent.ts'
import { Drains } from './draining/draining.ts'
import { isOwnBusiness } from './endpoints/drain.ts'
import { startAgentApi } from './agent-api.ts'
import { aliveBalancers, Announcer, announcedTags, assertTagsFit } from './endpoints/announcer.ts'
import { checkBalancing } from './balancer-check.ts'
import { startBalancing } from './balancing.ts'
import type { AgentConfig } from './config/index.ts'
import { catchUp } from './joining/catch-up.ts'
import { claimRunDir } from './drivers/claim.ts'
import { startEngine } from './engine.ts'
import { GenerationFiles } from './drivers/generation-files.ts'
import { EventLog } from './journal/event-log.ts'
import { collectEarly, startHandlers } from './handlers/handling.ts'
import { Generations } from './configuring/generations.ts'
import { ringView } from './joining/join-list.ts'
import { startJournaling } from './journal/journaling.ts'
import { type Joinable, keepJoined } from './joining/joiner.ts'
import { LocalEndpoints, startedAreReady } from './endpoints/local-endpoints.ts'
import { rpcBackendOf } from './rpc-backend.ts'
import { commandsOnRecord } from './journal/rpc-journal.ts'
import { specOf } from './services/services.ts'
import { startWatching } from './configuring/watching.ts'
import { visitBalancers } from './joining/visits.ts'
import { answerWhy } from './why/asking.ts'

export interface AgentDeps {
  readonly clock: Clock
  readonly random: Random
  /** With the lines that `monitor` shows; without, it shows none. */
  readonly log: Log & { readonly lines?: RpcLogSource }
  /** This process, as the status names it. */
  readonly pid: number
  /** Files, environment and flags, read again. @throws ConfigError */
  readonly readConfig?: () => AgentConfig
  /** How a start ends that is given up: by default its services end, each in its time. */
  readonly giveUp?: {
    /** Aborted: its services are killed. */
    readonly hurry: AbortSignal
    /** Its services run on, for the next agent. */
    readonly keepsServices: boolean
  }
}

/**
 * Starts everything that the configuration asks for. Resolves when the node gossips, its services have processes and, on a
 * balancer, HAProxy serves; joining goes on in the background, for ever.
 * @throws with everything released; services that an earlier agent left running keep running
 */
export async function startAgent(given: AgentConfig, deps: AgentDeps, signal?: AbortSignal): Promise<Agent> {
  signal?.throwIfAborted()
  await using scope = new Scope()
  for (const warning of given.warnings) deps.log.warn({}, warning)
  const endpoints = new LocalEndpoints(given.services)
  assertTagsFit(given.node.tags, endpoints.longest())
  const claim = await claimRunDir(given.runDir, deps.clock, signal)
  scope.defer(() => claim.release({ remove: true }))
  const journal = await startJournaling(given, deps, scope)
  let agent: Agent | undefined
  scope.use(await startAgentApi(given, { log: deps.log.child({ room: 'api' }), agent: () => agent }, signal))
  await checkBalancing(given, { ...deps, log: deps.log.child({ room: 'balancer' }) })
  const supervisor = await startServices(given, deps, scope, signal)
  journal.followServices(supervisor, scope)
  const tags = announcedTags(given.node.tags, endpoints.current(supervisor.services()))

  const { serf, gossip, name } = await startEngine(given, tags, deps, scope, signal)
  journal.follow(serf, gossip !== undefined, scope)
  const early = collectEarly(serf, gossip !== undefined)
  const config = { ...given, node: { ...given.node, name } }
  const announcer = new Announcer(announceable(serf), tags, deps.log)
  const generations = new Generations(new GenerationFiles(join(given.stateDir, 'generations')), deps)
  if (config.balancer !== undefined) await generations.load()
  const balancing = await startBalancing(config, { ...deps, serf, supervisor, journal, generations }, scope, signal)
  if (config.balancer !== undefined && generations.pinned === undefined)
    await generations.record(config.balancer, 'start', config.origin?.settings.balancer)
  const handlers = startHandlers(config, { ...deps, serf }, scope, early())
  const events = new EventLog(deps.clock)
  scope.defer(serf.onEvent(event => void (isOwnBusiness(event) || events.append(event))))
  const drains = new Drains({ ...deps, serf })
  scope.defer(() => drains.stop())
  const parts = {
    config,
    deps,
    serf,
    supervisor,
    endpoints,
    announcer,
    balancing,
    drains,
    handlers,
    events,
    journal,
    generations,
  }
  const started = new Agent(parts)
  scope.defer(supervisor.onChange(() => started.announce()))
  scope.defer(answerWhy(started))
  started.announce()
  agent = started

  if (gossip !== undefined) {
    visitBalancers(gossip, deps, scope)
    await serveRpc(config, { ...deps, agent, gossip }, scope, signal)
  }
  startJoining(config, { ...deps, serf, supervisor }, () => balancing?.wake(), scope)
  startCatchingUp(config, { ...deps, serf, supervisor, agent }, scope)
  const apply = () => started.configuring.apply({ actor: 'watch' })
  startWatching(() => started.configuring.inForce, { ...deps, apply }, scope)
  journal.ends('stopped')
  agent.own(scope.move())
  return agent
}

/** Serf's RPC, so that the `serf` command works here; a real agent as the engine serves its own. */
async function serveRpc(
  config: AgentConfig,
  deps: AgentDeps & { agent: Agent; gossip: Serf },
  scope: Scope,
  signal?: AbortSignal,
): Promise<void> {
  const { rpc: bind, rpcAuth } = config.cluster
  if (bind === undefined) return
  const { agent, gossip, clock } = deps
  const plain = rpcBackendOf(agent, gossip, { clock, logs: deps.log.lines })
  const backend = commandsOnRecord(plain, clock, command => agent.parts.journal.command(command))
  const rpc = { bind, ...(rpcAuth === undefined ? {} : { authKey: rpcAuth }) }
  scope.use(await startRpcServer(rpc, { clock: deps.clock, log: deps.log.child({ room: 'rpc' }), backend }, signal))
}

/** Services that were started here end again when the agent's start fails; adopted ones are left as they were found. */
async function startServices(
  config: AgentConfig,
  deps: AgentDeps,
  scope: Scope,
  signal?: AbortSignal,
): Promise<Supervisor> {
  const paths = { stateDir: join(config.stateDir, 'services'), runDir: config.runDir }
  const log = deps.log.child({ room: 'supervisor' })
  const supervisor = await startSupervisor(
    { ...paths, services: config.services.map(specOf) },
    { ...deps, log },
    signal,
  )
  scope.defer(() => supervisor.detach())
  scope.defer(() => stopStarted(supervisor, deps.giveUp))
  const isOrphan = (name: string) => name !== 'haproxy' || config.balancer === undefined
  supervisor.onOutput((service, line) => void (isOrphan(service) && deps.log.info({ service }, line))) // the balancer tells HAProxy's
  await Promise.all(
    supervisor
      .orphans()
      .filter(isOrphan)
      .map(name => supervisor.adoptOrphan(name)),
  )
  await untilAdoptedAreReady(supervisor, deps.clock, signal)
  return supervisor
}

/** What was started here and not found running; after an orderly end of the agent there is none left. */
async function stopStarted(supervisor: Supervisor, giveUp: AgentDeps['giveUp']): Promise<void> {
  if (giveUp?.keepsServices === true) return
  const started = supervisor.services().filter(service => !service.adopted)
  const stopAll = (options = {}) => Promise.all(started.map(service => supervisor.stop(service.name, options)))
  const hurry = () => void stopAll({ timeoutMs: 0 })
  giveUp?.hurry.addEventListener('abort', hurry)
  await stopAll(giveUp?.hurry.aborted === true ? { timeoutMs: 0 } : {})
  giveUp?.hurry.removeEventListener('abort', hurry)
}

function announceable(serf: Engine) {
  return {
    setTags: (tags: Record<string, string>, options: { tell: readonly string[] }) =>
      serf.setTags(tags, { tell: [...options.tell] }),
    balancers: () => aliveBalancers(serf),
  }
}

function startJoining(
  config: AgentConfig,
  deps: AgentDeps & { serf: Engine; supervisor: Supervisor },
  onJoined: () => void,
  scope: Scope,
): void {
  const { cluster } = config
  const target = joinable(config, deps.serf)
  const addresses = [...new Set([...cluster.join, ...cluster.retryJoin])]
  const log = deps.log.child({ room: 'agent' })
  const joiner = { addresses, retryIntervalMs: cluster.retryIntervalMs }
  onceReady(deps, scope, signal => keepJoined(joiner, { ...deps, log }, target, onJoined, signal))
  const { discovery } = cluster
  if (discovery === undefined || cluster.engine === 'serf') return // a real agent discovers for itself
  onceReady(deps, scope, async signal => {
    const { keepDiscovering } = await import('./joining/discovering.ts')
    await keepDiscovering(discovery, { ...deps, log }, target, onJoined, signal)
  })
}

function joinable({ cluster, node }: AgentConfig, serf: Engine): Joinable {
  return {
    join: addresses => serf.join([...addresses], { ignoreOld: !cluster.replay }),
    canJoin: () => serf.state() === 'alive',
    view: () => ringView(serf.members(), { ...cluster.bind, name: node.name }),
  }
}

/** Once what is new is ready: nothing is taken away before its replacement serves. */
function startCatchingUp(
  config: AgentConfig,
  deps: AgentDeps & { serf: Engine; supervisor: Supervisor; agent: Agent },
  scope: Scope,
): void {
  const { join, retryJoin } = config.cluster
  const log = deps.log.child({ room: 'agent' })
  const joins = join.length + retryJoin.length > 0
  onceReady(deps, scope, signal => catchUp({ ...deps, log, joins }, signal))
}

/** In the background, once the services that were started are ready, or have had their time; the scope's end ends it. */
function onceReady(
  { supervisor, clock }: { readonly supervisor: Supervisor; readonly clock: Clock },
  scope: Scope,
  work: (signal: AbortSignal) => Promise<void>,
): void {
  const ended = new AbortController()
  const untilReady = startedAreReady(
    supervisor,
    ms => sleep(clock, ms, ended.signal).catch(() => undefined), // ended: the work sees it, too
  )
  const done = untilReady.then(() => work(ended.signal))
  scope.defer(async () => {
    ended.abort()
    await done
  })
}
