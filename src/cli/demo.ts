/** `muster demo`: the whole main job on one machine, to watch or (`--check`) to prove. Nothing of it is left behind. */
import { mkdtempSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf, Scope, sleep, systemClock, systemRandom } from '../base/index.ts'
import { type Load, startLoad } from '../prove/index.ts'
import { actTable, objections } from './demo/act-table.ts'
import { performActs } from './demo/check.ts'
import { withDeadline } from './tier/deadline.ts'
import { GUARD_FLAG, runGuard, startGuard, sweep } from './tier/drivers/leftovers.ts'
import { canListen, freePorts } from './tier/drivers/ports.ts'
import { Tier } from './tier/drivers/tier.ts'
import { watchLive } from './demo/live.ts'
import { DEMO_HELP, type DemoOptions, parseDemoOptions } from './demo/options.ts'
import { EXIT } from './exit.ts'

/** Servers at the start. */
const SERVERS = 3
const START_MS_MAX = 30_000
/** What the check promises; the load is set above it. */
const RATE_MIN = 500
/** Unix socket paths end below 97 bytes with room for what the agents add. */
const DIRECTORY_BYTES_MAX = 40

const clock = systemClock

/** @returns the exit code; everything that was started has ended by then, also after Ctrl-C */
export async function runDemo(argv: string[]): Promise<number> {
  const [flag, run, directory] = argv
  if (flag === GUARD_FLAG && run !== undefined && directory !== undefined) {
    await runGuard(run, directory, clock)
    return EXIT.ok
  }
  const options = parseDemoOptions(argv)
  if (options.help) {
    process.stdout.write(DEMO_HELP)
    return EXIT.ok
  }
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort(new Error('interrupted'))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  try {
    return await demonstrate(options, interrupted.signal)
  } catch (failure) {
    if (!interrupted.signal.aborted) throw failure
    return 130
  } finally {
    for (const name of signals) process.off(name, onSignal)
  }
}

async function demonstrate(options: DemoOptions, signal: AbortSignal): Promise<number> {
  await using scope = new Scope()
  const tier = await startTier(options, scope, signal)
  const banner = bannerOf(tier)
  say(banner)
  const load = scope.use(
    startLoad(
      { url: tier.siteUrl, ratePerSecond: options.ratePerSecond, serverHeader: 'x-backend-name', echo: true },
      { clock, random: systemRandom },
      signal,
    ),
  )
  if (options.check) return await check(tier, load, options, signal)
  await watchLive({ tier, load, clock, banner }, signal)
  return EXIT.ok
}

async function startTier(options: DemoOptions, scope: Scope, signal: AbortSignal): Promise<Tier> {
  const manyLoopbacks = await canListen('127.0.0.2', 0)
  const ips = Array.from({ length: manyLoopbacks ? SERVERS + 3 : 1 }, (_, i) => `127.0.0.${i + 1}`)
  const ports = await freePorts(ips, say)
  const program = realpathSync(process.argv[1] as string)
  const webapp = join(dirname(program), '../dist/webapp.js')
  const directory = mkdtempSync(join(tmpdir().length > DIRECTORY_BYTES_MAX ? '/tmp' : tmpdir(), 'muster-demo-'))
  const run = Buffer.from(systemRandom.bytes(8)).toString('hex')
  scope.defer(startGuard(program, run, directory))
  scope.defer(() => sweep(run, directory, clock))
  const tier = new Tier({ directory, program, webapp, run, ports, manyLoopbacks, engine: options.engine }, clock)
  const balancer = tier.startBalancer(options.template)
  for (let i = 0; i < SERVERS; i++) await tier.addServer()
  const agents = [balancer, ...tier.servers.map(server => server.agent)]
  try {
    await withDeadline(clock, START_MS_MAX, signal, ended => allServe(tier, ended))
  } catch (cause) {
    signal.throwIfAborted()
    for (const { name } of agents) say(`--- ${name}\n${tier.logOf(name)}`)
    throw new Error(`the tier did not come up within ${START_MS_MAX / 1000} s: ${messageOf(cause)}`, { cause })
  }
  return tier
}

/** Asks the site until each server has answered. */
async function allServe(tier: Tier, signal: AbortSignal): Promise<void> {
  const missing = new Set(tier.servers.map(server => server.name))
  while (missing.size > 0) {
    const name = await fetch(tier.siteUrl, { signal }).then(
      answer => answer.text().then(() => answer.headers.get('x-backend-name')),
      () => null, // not up yet
    )
    if (name === null || !missing.delete(name)) await sleep(clock, 30, signal)
  }
}

async function check(tier: Tier, load: Load, options: DemoOptions, signal: AbortSignal): Promise<number> {
  const { version = 'unknown' } = (await tier.balancer.status()).balancer?.haproxy ?? {}
  const { seconds, ratePerSecond, template, engine } = options
  const what = `template ${template}, engine ${engine}, HAProxy ${version}`
  say(`checking for ${seconds} s at ${ratePerSecond} requests a second, ${what}`)
  const startedAtMs = clock.nowMs()
  const acts = await performActs({ tier, load, clock, say }, options, signal)
  const ranForMs = clock.nowMs() - startedAtMs
  await load.stop()
  load.reconcile(tier.executed())
  const stats = load.stats()
  process.stdout.write(`${actTable(acts, stats)}\n`)
  for (const { id, kind, what, countedAs, how, tookMs, server } of stats.failures) {
    say(`${countedAs}: ${kind} ${id}: ${what} after ${tookMs.toFixed(0)} ms, ${how}${server ? `, ${server}` : ''}`)
  }
  const against = objections(acts, stats, { template: options.template, ranForMs, rateMin: RATE_MIN })
  for (const objection of against) say(`failed: ${objection}`)
  if (against.length > 0) say(`--- balancer\n${tier.logOf('balancer', 30)}`)
  else say(`passed: ${stats.sent} requests, ${stats.posts} of them POSTs; ${stats.unknown} unknown at the kills`)
  return against.length === 0 ? EXIT.ok : EXIT.failed
}

function bannerOf(tier: Tier): string {
  const servers = tier.servers.map(({ name, ip, port }) => `${name.padEnd(10)} http://${ip}:${port}/`)
  return [`site       ${tier.siteUrl}`, `statistics ${tier.statsUrl}`, ...servers].join('\n')
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}
