import { type Clock, Listeners, type Log, probe, type Random, Scope, sleep } from '../base/index.ts'
import { Balancer } from './balancer.ts'
import { NAMED_TEMPLATE, SLOTS_TEMPLATE } from './file/built-in-templates.ts'
import { assertSound, type BalancerConfig, socketPaths, timeoutServerOf } from './config.ts'
import { Door, doorPools } from './drivers/door.ts'
import { askHaproxy } from './drivers/door-served.ts'
import { HaproxyControl } from './drivers/haproxy-control.ts'
import { descriptorLimit, findHaproxy, findMaster } from './drivers/haproxy-process.ts'
import { bindAddresses, parseStructure } from './file/config-structure.ts'
import { findRunning } from './drivers/lost-sockets.ts'
import { makeDirectories, readTemplate } from './drivers/template-file.ts'
import { assertBindable } from './drivers/test-bind.ts'
import { ConfigRefusedError, HaproxyStartError, TemplateError } from './errors.ts'
import type { GuardNews } from './pool/guards/report.ts'
import { Layout } from './file/layout.ts'
import { Passes } from './apply/pass.ts'
import type { CheckNews, Receipt } from './apply/receipt.ts'
import type { HaproxySpec, Supervise } from './supervise.ts'
import { assertListening, compileTemplate, type Render } from './file/template.ts'

export interface BalancerDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly supervise: Supervise
  /** The hands on HAProxy; a test has some that break. */
  readonly makeControl?: (...parts: ConstructorParameters<typeof HaproxyControl>) => HaproxyControl
}

const START_TIMEOUT_MS = 10_000
const START_POLL_MS = 10
const OTHER_FILE =
  'the HAProxy that runs reads another file than balancer.config says; it is kept until HAProxy is stopped'

const BROKEN_TEMPLATE =
  'the template is broken; HAProxy runs with the last good configuration until the template is mended and read again (SIGHUP)'

/**
 * Starts HAProxy, or adopts the one that runs, and keeps it equal to what is wanted. A cold start begins with the servers
 * of the last file; an adopted HAProxy is not reloaded unless its configuration differs.
 * @throws HaproxyMissingError, HaproxyTooOldError, BalancerConfigError, BindError, TemplateError, ConfigRefusedError (and no last good
 * file to start from), HaproxyStartError; nothing is left running that was not there before
 */
export async function startBalancer(
  given: BalancerConfig,
  deps: BalancerDeps,
  signal?: AbortSignal,
): Promise<Balancer> {
  assertSound(given)
  const haproxy = await findHaproxy(given.haproxyPath)
  const running = await findRunning(socketPaths(given).master, deps.clock)
  const config = { ...given, configPath: running?.configPath ?? given.configPath }
  if (config.configPath !== given.configPath)
    deps.log.warn({ reads: config.configPath, configured: given.configPath }, OTHER_FILE)
  await makeDirectories(config.runDir, config.configPath)
  const paths = { config: config.configPath, ...socketPaths(config) }
  const { makeControl = (...parts) => new HaproxyControl(...parts) } = deps
  const control = makeControl(haproxy, paths, deps.clock, deps.log)
  const { render, problem } = await renderOrLast(config, control, deps.log)
  let balancer: Balancer | undefined
  const wake = (): void => balancer?.wake()
  const descriptors = await descriptorLimit()
  const maxconn = (checks: number, wanted: number | undefined) => maxconnFor(descriptors, checks, wanted)
  warnOfFewDescriptors(config, maxconn(0, config.maxConnections), deps.log)
  const { listeners, tells } = newsOf(deps.log)
  const layout = new Layout(config, render, maxconn)
  const passes = new Passes(layout, { ...deps, ...tells, control, probe, wake })
  const adopted = running !== undefined
  const remembered = typeof config.template === 'object' ? await control.rememberedServers() : undefined
  if (adopted) await adopt(control, passes, remembered)
  else await prepare(control, passes, remembered, deps.log)
  await using scope = new Scope()
  const door = new Door({ ...deps, served: askHaproxy(socketPaths(config), deps.clock) })
  scope.defer(() => door.stop())
  await door.follow(doorPools(config)) // before the first client comes
  await deps.supervise.start(haproxySpec(config, haproxy.path), running?.pid)
  if (!adopted) await untilReady(control, deps, signal)
  const parts = { ...deps, ...listeners, control, passes, renderOf, door, problem, adopted }
  balancer = new Balancer({ ...parts, version: haproxy.version })
  scope.move() // the door is the balancer's
  balancer.wake()
  return balancer
}

/** Whoever wants to know, and how the passes tell them. */
function newsOf(log: Log) {
  const receipts = new Listeners<Receipt>('receipts', log)
  const guardNews = new Listeners<GuardNews>('guards', log)
  const checkNews = new Listeners<CheckNews>('checks', log)
  const tells = {
    onReceipt: (receipt: Receipt) => receipts.tell(receipt),
    onGuard: (news: GuardNews) => guardNews.tell(news),
    onCheck: (news: CheckNews) => checkNews.tell(news),
  }
  return { listeners: { receipts, guardNews, checkNews }, tells }
}

/** A request also waits in the queue and is sent again, before and beside its server's time. */
const STOP_SPARE_MS = 10_000

/**
 * How HAProxy is run for this configuration; asked to stop it may take as long as the slowest answer. A supervisor that is told
 * of its services beforehand takes it from here.
 */
export function haproxySpec(config: BalancerConfig, haproxyPath: string): HaproxySpec {
  const master = `${socketPaths(config).master},mode,600,level,admin`
  const command = [haproxyPath, '-W', '-S', master, '-f', config.configPath]
  const http = Object.values(config.pools).filter(({ mode }) => mode !== 'tcp') // of a TCP pool nobody knows when it is done
  const slowestMs = Math.max(0, ...http.map(timeoutServerOf))
  return { name: 'haproxy', command, stopSignal: 'SIGUSR1', stopTimeoutMs: slowestMs + STOP_SPARE_MS }
}

/** Where the descriptors are few, each block of so many servers has its own `maxconn`, not each server. */
const CHECKS_BLOCK = 100

/**
 * Connections that the descriptor limit allows: two descriptors each, one per checked server, listeners beside them.
 * `haproxy -c` accepts more, and the start or the reload then fails.
 * @param checks servers in the file that are checked, free slots among them
 * @param wanted the most that is asked for
 */
export function maxconnFor(descriptors: number, checks: number, wanted = 10_000): number {
  const beside = Math.ceil(checks / CHECKS_BLOCK) * CHECKS_BLOCK
  const spare = (descriptors >= 4_096 ? descriptors - 1_000 : descriptors * 0.7) - beside
  return Math.min(wanted, Math.max(50, Math.floor(spare / 2.2)))
}

function warnOfFewDescriptors({ maxConnections: wanted }: BalancerConfig, allowed: number, log: Log): void {
  if (wanted !== undefined && allowed < wanted)
    log.warn(
      { wanted, allowed },
      'the descriptor limit (ulimit -n) allows fewer connections than balancer.max_connections',
    )
}

/** The template of this configuration, read and compiled. @throws TemplateError */
export async function renderOf(config: BalancerConfig): Promise<Render> {
  const { template } = config
  if (template === 'slots') return compileTemplate(SLOTS_TEMPLATE, 'slots')
  if (template === 'named') return compileTemplate(NAMED_TEMPLATE, 'named')
  const source = template.source ?? (await readTemplate(template.path))
  return assertListening(await compileTemplate(source, template.path, config.data), template.path)
}

/** Today's template; where it is broken the last good file as it is: a balancer that is started again must come up. */
async function renderOrLast(
  config: BalancerConfig,
  control: HaproxyControl,
  log: Log,
): Promise<{ readonly render: Render; readonly problem?: string }> {
  try {
    return { render: await renderOf(config) }
  } catch (failure) {
    const last = await control.readFile()
    if (last === undefined || !(failure instanceof TemplateError)) throw failure
    log.error({ error: failure.message }, BROKEN_TEMPLATE)
    return { render: () => last, problem: `${failure.message}: ${BROKEN_TEMPLATE}` }
  }
}

/** @param remembered by a former agent; undefined when it left no such notes */
async function adopt(
  control: HaproxyControl,
  passes: Passes,
  remembered: readonly unknown[] | undefined,
): Promise<void> {
  await control.attach()
  const seen = await control.look(false)
  const { servers } = seen
  if (passes.layout.tellsOurs) passes.lookout.adopt(control.fileText ?? '', control.loaded, servers)
  passes.lookout.adoptRemembered(remembered ?? [])
  if (remembered === undefined) passes.lookout.waitIfBlind(servers)
  passes.decideFound(seen)
}

/** The file for a cold start: the last known pool, in today's template; the last good file itself if that is refused. */
async function prepare(
  control: HaproxyControl,
  passes: Passes,
  remembered: readonly unknown[] | undefined,
  log: Log,
): Promise<void> {
  const last = await control.readFile()
  if (passes.layout.tellsOurs) passes.lookout.adopt(last ?? '', parseStructure(last ?? ''), undefined)
  passes.lookout.adoptRemembered(remembered ?? [])
  passes.decideOffline()
  const text = passes.text()
  await assertBindable(bindAddresses(parseStructure(text)), []) // SO_REUSEPORT: HAProxy would share it without a word
  try {
    await control.install(text)
  } catch (failure) {
    if (last === undefined || !(failure instanceof ConfigRefusedError)) throw failure
    log.error({ error: failure.message }, 'the new configuration was refused; starting with the last good one')
  }
}

/** @throws HaproxyStartError when it does not come up; it is stopped then */
async function untilReady(control: HaproxyControl, deps: BalancerDeps, signal?: AbortSignal): Promise<void> {
  try {
    await untilAttached(control, deps, signal)
  } catch (failure) {
    await deps.supervise.stop()
    await control.removeSockets()
    throw failure
  }
}

async function untilAttached(control: HaproxyControl, deps: BalancerDeps, signal?: AbortSignal): Promise<void> {
  const deadlineMs = deps.clock.nowMs() + START_TIMEOUT_MS
  let failure: unknown
  while (deps.clock.nowMs() < deadlineMs) {
    try {
      if ((await findMaster(control.masterSocket, deps.clock)) !== undefined) return await control.attach()
    } catch (thrown) {
      failure = thrown
    }
    await sleep(deps.clock, START_POLL_MS, signal)
  }
  throw new HaproxyStartError(deps.supervise.status().reason ?? 'no word from its master socket', { cause: failure })
}
