import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Log, type Random, seededRandom, silentLog } from '../../base/index.ts'
import type { Balancer, BalancerConfig, Outlook, PoolConfig, Receipt, Server } from '../index.ts'
import { PlanStaleError } from '../errors.ts'
import { endAll, rig, type Rig, until, web } from '../../testing/index.ts'

afterEach(endAll)

/** `npm run test:plan` asks for 500. */
const PAIRS = Number(process.env['PLAN_PAIRS'] ?? 40)
const SEED = Number(process.env['PLAN_SEED'] ?? 20_261_121)

/** Writes down what was sent to HAProxy's socket, whoever says what it was. */
function listening(): { readonly log: Log; readonly sent: string[] } {
  const sent: string[] = []
  const debug: Log['debug'] = ({ command }, sentence) => {
    if (sentence === 'sent to HAProxy') sent.push(String(command))
  }
  const log: Log = { ...silentLog, debug, child: () => log }
  return { log, sent }
}

const any = <T>(random: Random, values: readonly T[]): T => values[random.below(values.length)] as T

function randomPool(random: Random): PoolConfig {
  return {
    balance: any(random, ['leastconn', 'roundrobin', 'random']),
    check: any(random, [{ tcp: true }, { http: '/', intervalMs: 2_000 }] as const),
    sticky: any(random, ['none', 'cookie', 'cookie'] as const),
    cookieKey: any(random, ['first', 'second', 'third']),
    timeoutServerMs: any(random, [30_000, 30_000, 20_000]),
    ...(random.below(3) === 0 ? { maxconn: any(random, [50, 100]) } : {}),
  }
}

/** A user's template that names a map, whose entries change with each configuration. */
function ownTemplate(random: Random, map: string): string {
  return `# ${random.below(1_000)}
global
  stats socket {{settings.adminSocket}} mode 600 level admin
defaults
  mode http
  option redispatch 1
  timeout connect 1s
  timeout client ${any(random, ['9s', '9s', '8s'])}
  timeout server 9s
{{#each frontends}}
frontend {{name}}
  bind {{bind}}
  http-request set-header x-site %[req.hdr(host),lower,map(${map},none)]
  default_backend {{pool}}
{{/each}}
{{#each pools}}
backend {{name}}
  balance {{balance}}
  cookie SRV insert indirect dynamic
  dynamic-cookie-key ${any(random, ['a', 'b', 'c'])}
  {{#each servers}}
  server {{server}} {{address}} check weight {{weight}}${any(random, ['', '', ' maxconn 50', ' maxconn 60'])}
  {{/each}}
{{/each}}
`
}

interface World {
  readonly made: Rig
  readonly balancer: Balancer
  readonly servers: readonly Server[]
  readonly directory: string
}

/** The next configuration, and with it the files that it names: half of the time much like the one before. */
async function nextConfig(random: Random, before: BalancerConfig | undefined, world: World): Promise<BalancerConfig> {
  if (before === undefined || random.below(2) === 0) return anyConfig(random, world)
  const pools = Object.entries(before.pools).map(([name, pool]) => {
    const cookieKey = any(random, ['first', 'second', 'third'])
    return [name, { ...pool, cookieKey, ...(pool.maxconn === undefined ? {} : { maxconn: any(random, [50, 100]) }) }]
  })
  const { template } = before
  if (typeof template === 'object') await touch(random, template.path as string, world)
  return { ...before, pools: Object.fromEntries(pools) }
}

/** Another comment in a user's template, or other entries in the map that it names. */
async function touch(random: Random, path: string, { directory }: World): Promise<void> {
  const text = await readFile(path, 'utf8')
  if (random.below(2) === 0) await writeFile(path, text.replace(/^# .*/, `# ${random.below(1_000)}`))
  else await writeMap(random, directory)
}

async function writeMap(random: Random, directory: string): Promise<string> {
  const path = join(directory, 'sites.map')
  const names = ['a.example', 'b.example', 'c.example', 'd.example'].filter(() => random.below(2) === 0)
  await writeFile(path, names.map(name => `${name} ${any(random, ['one', 'two', 'three words here'])}\n`).join(''))
  return path
}

async function anyConfig(random: Random, { made, directory }: World): Promise<BalancerConfig> {
  const template = any(random, ['slots', 'slots', 'named', 'own', 'own'] as const)
  const pools = { web: randomPool(random), ...(random.below(3) === 0 ? { api: randomPool(random) } : {}) }
  const config = { ...made.config, pools }
  if (template !== 'own') return { ...config, template }
  const path = join(directory, 'own.hbs')
  await writeFile(path, ownTemplate(random, await writeMap(random, directory)))
  return { ...config, template: { path } }
}

/** Weights, drains and arrivals between two configurations. */
function randomServers(random: Random, { servers }: World): Server[] {
  return servers.map(server => ({
    ...server,
    weight: any(random, [1, 1, 2, 5]),
    state: any(random, ['ready', 'ready', 'draining'] as const),
    ...(random.below(4) === 0 ? { liveness: 'withdrawn' as const } : {}),
  }))
}

test(`a plan equals what is applied, byte for byte, for ${PAIRS} random pairs of configurations`, async () => {
  const random = seededRandom(SEED)
  const { log, sent } = listening()
  const made = await rig({ reloadSpacingMs: 1 }, { log })
  const balancer = await made.start()
  const directory = join(made.config.runDir, 'files')
  await mkdir(directory)
  const listeners = await Promise.all(['127.0.21.2', '127.0.21.3', '127.0.21.4', '127.0.21.5'].map(ip => web(ip)))
  const world = { made, balancer, servers: listeners.map(({ server }) => server), directory }
  /** On a busy machine a check may fail between the two: then that plan is refused, and a new one made. */
  async function planAndApply(config: BalancerConfig, again = 3): Promise<{ outlook: Outlook; receipt?: Receipt }> {
    const outlook = await balancer.plan(config)
    expect(await readFile(made.config.configPath, 'utf8')).toBe(outlook.before)
    sent.length = 0
    try {
      const receipt = await balancer.apply(config, { actor: 'test', causes: [], expected: outlook.id })
      return { outlook, ...(receipt === undefined ? {} : { receipt }) }
    } catch (failure) {
      if (!(failure instanceof PlanStaleError) || again === 0) throw failure
      return planAndApply(config, again - 1)
    }
  }
  const methods = new Map<string, number>()
  let config: BalancerConfig | undefined
  for (let pair = 0; pair < PAIRS; pair++) {
    const wanted = randomServers(random, world)
    balancer.wanted(wanted)
    const here = wanted.filter(({ liveness }) => liveness === 'alive').length
    await until(() => isQuiet(balancer, here))
    await balancer.settle()
    config = await nextConfig(random, config, world)
    const { outlook, receipt } = await planAndApply(config)
    methods.set(outlook.method, (methods.get(outlook.method) ?? 0) + 1)
    const at = { pair, seed: SEED }
    expect({ ...at, method: receipt?.method ?? 'nothing' }).toEqual({ ...at, method: outlook.method })
    expect({ ...at, sent: sent.slice(0, outlook.commands.length) }).toEqual({ ...at, sent: outlook.commands })
    expect({ ...at, commands: receipt?.commands ?? [] }).toEqual({ ...at, commands: outlook.commands })
    expect(await readFile(made.config.configPath, 'utf8')).toBe(outlook.after)
    await balancer.settle()
    const again = await balancer.plan(config)
    expect({ ...at, again: again.method, reasons: again.reasons, commands: again.commands }).toEqual({
      ...at,
      again: 'nothing',
      reasons: [],
      commands: [],
    })
  }
  if (PAIRS >= 100) expect([...methods.keys()].sort()).toEqual(['file', 'nothing', 'reload', 'runtime'])
}, 600_000)

/** Whoever is wanted has proved itself. */
function isQuiet(balancer: Balancer, wanted: number): boolean {
  const servers = balancer.status().pools.find(({ name }) => name === 'web')?.servers ?? []
  return servers.length === wanted && servers.every(({ state }) => state === 'ready' || state === 'drain')
}
