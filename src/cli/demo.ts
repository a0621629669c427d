/** `muster demo`: the whole main job on one machine, to watch or (`--check`) to prove. Nothing of it is left behind. */
import { Scope, systemClock, systemRandom } from '../base/index.ts'
import { type Load, startLoad } from '../prove/index.ts'
import { actDocument, actTable, objections } from './demo/act-table.ts'
import { performActs } from './demo/check.ts'
import { watchLive } from './demo/live.ts'
import { DEMO_HELP, type DemoOptions, parseDemoOptions } from './demo/options.ts'
import { EXIT } from './exit.ts'
import { print, printJson } from './output.ts'
import { GUARD_FLAG, runGuard } from './tier/drivers/leftovers.ts'
import type { Tier } from './tier/drivers/tier.ts'
import { openTier } from './tier/open-tier.ts'

/** Servers at the start. */
const SERVERS = 3
/** What the check promises; the load is set above it. */
const RATE_MIN = 500

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
  const { engine, template } = options
  const tier = await openTier(
    { engine, template, servers: SERVERS },
    { scope, clock, random: systemRandom, say },
    signal,
  )
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
  const against = objections(acts, stats, { template: options.template, ranForMs, rateMin: RATE_MIN })
  if (options.output === 'json') printJson(actDocument(acts, stats, against))
  else print(actTable(acts, stats))
  for (const { id, kind, what, countedAs, how, tookMs, server } of stats.failures) {
    say(`${countedAs}: ${kind} ${id}: ${what} after ${tookMs.toFixed(0)} ms, ${how}${server ? `, ${server}` : ''}`)
  }
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
