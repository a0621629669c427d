import { type AgentConfig, type ConfigInput, loadConfig } from '../agent/config/index.ts'
import { formatAddress, messageOf, systemClock, systemRandom } from '../base/index.ts'
import { createLog, type LogOut, type ProcessLog } from './log.ts'
import { Signals } from './signals.ts'
import { Syslog } from './syslog.ts'

/** What Serf's command does otherwise. */
export interface RunOptions {
  /** Where the log goes; default standard error. */
  readonly out?: LogOut
  /** The agent runs. */
  readonly started?: (config: AgentConfig) => void
}

/** Runs an agent in the foreground until it is told to stop; resolves with the exit code. */
export async function runAgent(input: ConfigInput, { out, started }: RunOptions = {}): Promise<number> {
  const load = () => loadConfig({ ...input, env: process.env })
  const config = load()
  const { syslogFacility: facility } = config
  const syslog = facility === undefined ? undefined : new Syslog(facility, { clock: systemClock })
  const sink = syslog === undefined ? undefined : (level: number, record: string) => syslog.write(level, record)
  const log = createLog({ level: config.logLevel, format: config.logFormat }, out, sink)
  if (syslog !== undefined) syslog.onFailure = reason => log.warn({ reason }, NO_SYSLOG)
  const signals = new Signals(log, {
    skipLeaveOnInterrupt: config.cluster.skipLeaveOnInterrupt,
    reload: agent => reload(agent as RunningAgent, load, log),
  })
  const { startAgent } = await import('../agent/start.ts')
  const { starting: giveUp } = signals
  const deps = { clock: systemClock, random: systemRandom, log, pid: process.pid, giveUp, readConfig: load }
  try {
    const agent = await startAgent(config, deps, giveUp.signal)
    catchStrays(agent, log)
    if (started === undefined) log.info(upFields(config, agent.parts.config.node.name), 'the agent is up')
    else started(config)
    signals.attach(agent)
    await agent.ended
  } catch (failure) {
    if (!giveUp.signal.aborted) throw failure
    log.info({ reason: messageOf(failure) }, 'ended before it was up')
  } finally {
    await syslog?.close()
  }
  return signals.exitCode
}

/** Where an agent is to be found, and what it does: the line with which it says that it is up. */
export function upFields(
  { cluster, api, services, balancer, stateDir }: AgentConfig,
  node: string,
): Record<string, string> {
  return {
    node,
    gossip: cluster.engine === 'serf' ? 'by the serf agent at rpc' : formatAddress(cluster.bind),
    rpc: cluster.rpc === undefined ? 'off' : formatAddress(cluster.rpc),
    api: api.socketPath,
    services: services.length === 0 ? 'none' : services.map(({ name }) => name).join(','),
    balancer: balancer === undefined ? 'no' : 'yes',
    state_dir: stateDir,
  }
}

const NO_SYSLOG = 'cannot log to syslog; trying again with a later line. It takes the command logger (util-linux)'

/** Reads flags, environment and files again, as at the start. A configuration that is wrong changes nothing. */
async function reload(agent: RunningAgent, load: () => AgentConfig, log: ProcessLog): Promise<void> {
  log.info({}, 'reloading configuration')
  const read = () => {
    const next = load()
    for (const warning of next.warnings) log.warn({}, warning)
    log.setLevel(next.logLevel)
    return next
  }
  try {
    const held = await agent.reload(read, 'SIGHUP')
    if (held.length > 0)
      log.warn({ keys: held }, 'these keys have changed and take a restart: muster handover, then start')
  } catch (failure) {
    log.error({ reason: messageOf(failure) }, 'failed to reload; what is not named in the reason is as before')
  }
}

/**
 * The net below all others; what falls into it is a defect of ours. After an exception the agent ends as by a handover: what
 * serves goes on serving, and whoever keeps the agent running starts the next one.
 */
function catchStrays(agent: RunningAgent, log: ProcessLog): void {
  const stackOf = (thrown: unknown) => (thrown instanceof Error ? thrown.stack : String(thrown))
  process.on('unhandledRejection', reason => {
    log.error({ stack: stackOf(reason) }, 'a failure that nobody handled; the agent goes on. Please report this')
  })
  process.on('uncaughtException', thrown => {
    log.error({ stack: stackOf(thrown) }, 'an exception that nobody caught; ending, services and HAProxy run on')
    void agent.handover().finally(() => process.exit(1))
  })
}

type RunningAgent = Awaited<ReturnType<typeof import('../agent/start.ts')['startAgent']>>
