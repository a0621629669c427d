import { mkdtempSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Clock, messageOf, type Random, type Scope, sleep } from '../../base/index.ts'
import { withDeadline } from './deadline.ts'
import { ask } from './drivers/ask.ts'
import { startGuard, sweep } from './drivers/leftovers.ts'
import { canListen, freePorts } from './drivers/ports.ts'
import { Tier, type TierPlaces, type TierTemplate } from './drivers/tier.ts'

export interface TierOptions {
  readonly engine: TierPlaces['engine']
  readonly template: TierTemplate
  /** At the start. */
  readonly servers: number
  /** One more that is known by its tags alone. */
  readonly plainServer?: boolean
  /** Web servers end on SIGTERM in the middle of whatever they do, as programs do that know no better. */
  readonly diesAtOnce?: boolean
  /** Run this HAProxy from a place of the tier's own, so that it can be replaced. */
  readonly ownHaproxy?: string
}

const START_MS_MAX = 30_000
/** Unix socket paths end below 97 bytes with room for what the agents add. */
const DIRECTORY_BYTES_MAX = 40

/**
 * A balancer and its servers on this machine, each of which has answered. They end with `scope`, or with this process, however
 * it ends.
 * @throws when it does not come up; the logs have been shown
 */
export async function openTier(
  options: TierOptions,
  deps: { scope: Scope; clock: Clock; random: Random; say: (sentence: string) => void },
  signal: AbortSignal,
): Promise<Tier> {
  const { scope, clock, random, say } = deps
  const manyLoopbacks = await canListen('127.0.0.2', 0)
  const ips = Array.from({ length: manyLoopbacks ? options.servers + 4 : 1 }, (_, i) => `127.0.0.${i + 1}`)
  const ports = await freePorts(ips, say)
  const program = realpathSync(process.argv[1] as string)
  const webapp = join(dirname(program), '../dist/webapp.js')
  const directory = mkdtempSync(join(tmpdir().length > DIRECTORY_BYTES_MAX ? '/tmp' : tmpdir(), 'muster-demo-'))
  const run = Buffer.from(random.bytes(8)).toString('hex')
  scope.defer(startGuard(program, run, directory))
  scope.defer(() => sweep(run, directory, clock))
  const { engine, diesAtOnce = false } = options
  const tier = new Tier({ directory, program, webapp, run, ports, manyLoopbacks, engine, diesAtOnce }, clock)
  if (options.ownHaproxy !== undefined) tier.installHaproxy(options.ownHaproxy)
  const balancer = tier.startBalancer(options.template)
  for (let i = 0; i < options.servers; i++) await tier.addServer()
  if (options.plainServer === true) await tier.addPlainServer()
  const agents = [balancer, ...tier.servers.map(server => server.agent)]
  try {
    await withDeadline(clock, START_MS_MAX, signal, ended => allServe(tier, clock, ended))
  } catch (cause) {
    signal.throwIfAborted()
    for (const { name } of agents) say(`--- ${name}\n${tier.logOf(name)}`)
    throw new Error(`the tier did not come up within ${START_MS_MAX / 1000} s: ${messageOf(cause)}`, { cause })
  }
  return tier
}

/** Asks the site until each server has answered. */
async function allServe(tier: Tier, clock: Clock, signal: AbortSignal): Promise<void> {
  const missing = new Set(tier.servers.map(server => server.name))
  while (missing.size > 0) {
    const name = await ask(tier.siteUrl, signal).then(
      answer => answer.headers['x-backend-name'],
      () => undefined, // not up yet
    )
    if (typeof name !== 'string' || !missing.delete(name)) await sleep(clock, 30, signal)
  }
}
