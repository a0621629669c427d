import { type AgentConfig, type ConfigInput, loadConfig } from '../agent/config/index.ts'
import { messageOf, systemClock, systemRandom } from '../base/index.ts'
import { createLog, type ProcessLog } from './log.ts'

/** Runs an agent in the foreground until it is told to stop; resolves with the exit code. */
export async function runAgent(input: ConfigInput): Promise<number> {
  const load = () => loadConfig({ ...input, env: process.env })
  const config = load()
  const log = createLog({ level: config.logLevel, format: config.logFormat })
  const start = new AbortController()
  const early = () => start.abort(new Error('stopped by a signal before it was up'))
  process.once('SIGTERM', early).once('SIGINT', early)
  const { startAgent } = await import('../agent/start.ts')
  const agent = await startAgent(
    config,
    { clock: systemClock, random: systemRandom, log, pid: process.pid },
    start.signal,
  )
  process.removeListener('SIGTERM', early).removeListener('SIGINT', early)
  const code = watchSignals(agent, config, log)
  process.on('SIGHUP', () => void reload(agent, load, log))
  catchStrays(agent, log)
  await agent.ended
  return code()
}

/** Reads flags, environment and files again, as at the start. A configuration that is wrong changes nothing. */
async function reload(agent: RunningAgent, load: () => AgentConfig, log: ProcessLog): Promise<void> {
  log.info({}, 'reloading configuration')
  try {
    const next = load()
    for (const warning of next.warnings) log.warn({}, warning)
    log.setLevel(next.logLevel)
    const held = await agent.reload(next)
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

/**
 * SIGTERM and SIGINT drain, leave and stop; a second one stops at once. SIGUSR2 hands over: the agent ends, its services and
 * HAProxy run on. @returns what the process should end with
 */
function watchSignals(agent: RunningAgent, config: AgentConfig, log: ProcessLog): () => number {
  let code = 0
  let asked = 0
  const act = (what: Promise<void>) => {
    what.catch((error: unknown) => {
      code = 1
      log.error({ error: String(error) }, 'ending failed')
    })
  }
  const end = (name: NodeJS.Signals) => {
    log.info(
      { signal: name },
      asked === 0
        ? 'caught a signal; draining and leaving, a second one hurries'
        : 'caught a second signal; stopping now',
    )
    asked++
    act(agent.stop({ leave: asked === 1 && !(name === 'SIGINT' && config.cluster.skipLeaveOnInterrupt) }))
  }
  process.on('SIGTERM', end).on('SIGINT', end)
  process.on('SIGUSR2', () => {
    log.info({}, 'caught SIGUSR2; handing over')
    act(agent.handover())
  })
  return () => code
}
