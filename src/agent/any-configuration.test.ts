import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { preview, type Server } from '../balancer/index.ts'
import { type Random, seededRandom } from '../base/index.ts'
import { loadConfig } from './config/index.ts'
import { balancerConfigOf } from './haproxy.ts'

/** More on demand: `CONFIGURATIONS=2000 SEED=7 npx vitest run src/agent/any-configuration`. */
const COUNT = Number(process.env['CONFIGURATIONS'] ?? 60)
const SEED = Number(process.env['SEED'] ?? 1)

const directory = mkdtempSync(join(tmpdir(), 'any-'))
const certificate = join(directory, 'site.pem')
const file = join(directory, 'muster.yaml')

beforeAll(() => {
  const [key, crt] = [join(directory, 'key'), join(directory, 'crt')]
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a.org']
  execFileSync('openssl', [...make, '-keyout', key, '-out', crt, '-days', '30'], { stdio: 'ignore' })
  writeFileSync(certificate, execFileSync('cat', [crt, key]))
})
afterAll(() => rmSync(directory, { recursive: true }))

test(
  `HAProxy takes every combination of settings, without a warning: ${COUNT} of them`,
  async () => {
    for (let nth = 0; nth < COUNT; nth++) {
      const random = seededRandom(SEED * 1_000_000 + nth)
      const drawn = { balancer: balancerFrom(random) }
      writeFileSync(file, JSON.stringify(drawn)) // JSON is YAML
      const outcome = await complaintsOfHaproxy(pools => serversFor(pools, random))
      expect(outcome, `seed ${SEED}, configuration ${nth}: ${JSON.stringify(drawn)}`).toEqual([0, []])
    }
  },
  COUNT * 1_000 + 20_000,
)

/** Free slots have one address, and so one cookie, which nobody is given: they are in maintenance. */
const FREE_SLOTS = 'We generated two equal cookies for two different servers'

test('the examples of docs/sites.md are sound', async () => {
  const page = readFileSync(new URL('../../docs/sites.md', import.meta.url), 'utf8')
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml)
  expect(examples.length).toBeGreaterThanOrEqual(3)
  for (const name of ['shop.pem', 'blog.pem']) copyFileSync(certificate, join(directory, name))
  for (const example of examples) {
    writeFileSync(file, example)
    expect(await complaintsOfHaproxy(), example).toEqual([0, []])
  }
})

/** HAProxy's exit code and warnings about what it is given for the configuration in `file`. */
async function complaintsOfHaproxy(serversOf: (pools: readonly string[]) => Server[] = () => []) {
  const config = loadConfig({ files: [{ kind: 'file', path: file }] })
  if (config.balancer === undefined) throw new Error('no balancer')
  const own = balancerConfigOf(config, config.balancer, '10.0.0.9')
  const cfg = join(directory, 'haproxy.cfg')
  writeFileSync(cfg, await preview({ ...own, maxConnections: 500 }, serversOf(Object.keys(own.pools))))
  const { status, stderr } = spawnSync('haproxy', ['-c', '-f', cfg], { encoding: 'utf8', env: PATH })
  const lines = stderr.split('\n').filter(line => /\[(?:WARNING|ALERT)\]/.test(line) && !line.includes(FREE_SLOTS))
  return [status, lines]
}

const PATH = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` }

/** Any balancer that the schema takes; what excludes one another is not drawn together. */
function balancerFrom(random: Random): object {
  const draw = <T>(...from: readonly T[]): T => from[random.below(from.length)] as T
  const maybe = (key: string, ...from: readonly unknown[]) => (random.below(2) === 0 ? {} : { [key]: draw(...from) })
  const some = (most: number) => Array.from({ length: 1 + random.below(most) }, (_, at) => at)

  const checkFrom = () => ({
    ...maybe('interval', '100ms', '7s'),
    ...maybe('timeout', '1ms', '9s'),
    ...maybe('fall', 1, 9),
    ...maybe('rise', 1, 9),
    ...maybe('port', 80, 65_535),
    ...draw(
      {},
      { tcp: true },
      { http: '/', ...maybe('expect', 200, '200-299,301', '404') },
      { http: '/up?a=b', host: 'a.org:80' },
    ),
  })
  const poolFrom = (mode: 'http' | 'tcp'): object => ({
    mode,
    ...maybe('check', checkFrom()),
    ...maybe('slots', 1, 30),
    ...maybe('max_connections', 1, 1_000_000),
    ...maybe('max_queue', 1, 1_000_000),
    ...maybe('send_proxy', 'v1', 'v2'),
    ...maybe('server_tls', { verify: 'none' }, { verify: 'required' }, { verify: 'required', ca: certificate }),
    ...maybe('slow_start', '0s', '1ms', '10m'),
    ...maybe('min_servers', 3),
    ...maybe('outliers', false),
    ...maybe('timeouts', { connect: '5s' }, { server: '1h', queue: '1ms' }, { server: '600ms' }),
    ...(mode === 'http' ? httpPool() : { ...maybe('sticky', 'source'), ...maybe('balance', ...BALANCE) }),
  })
  const httpPool = () => ({
    ...maybe('sticky', 'cookie', 'source', { cookie: 'A', key: 'k' }, { header: 'X-User' }),
    ...maybe('balance', ...BALANCE, 'uri', 'hdr(x-user)', 'url_param id'),
    ...maybe('hold', { time: '0s' }, { time: '50ms', requests: 10_000 }, { requests: 1 }),
    ...maybe(
      'retries',
      { attempts: 0 },
      { attempts: 10, on: [503, '404', 'empty-response'] },
      { unsafe: true },
      { on: [] },
    ),
  })
  const web = some(3).map(at => `web${at}`)
  const raw = random.below(2) === 0 ? [] : some(2).map(at => `raw-${at}`)
  let port = 8000
  const binds = () =>
    some(2).map(() => draw(`:${port++}`, `127.0.0.1:${port++}`, `[::1]:${port++}`, `*:${port++} name x`))
  const tlsFrom = () => ({
    bind: binds(),
    certificates: draw<string | string[]>(certificate, [certificate, certificate]),
    ...maybe('min_version', 1.2, '1.3'),
  })
  const routesFrom = () =>
    some(4).map(() => ({
      ...draw(
        { host: 'a.org' },
        { host: ['*.a.org', 'b.org'], path: '/' },
        { path: '/api/v1' },
        { host: 'C.org', path: '/x/' },
      ),
      pool: draw(...web),
    }))
  const httpFrontend = () => ({
    bind: binds(),
    ...draw({ pool: draw(...web) }, { routes: routesFrom() }, { pool: draw(...web), routes: routesFrom() }),
    ...draw({}, { tls: tlsFrom() }, { tls: tlsFrom(), redirect_to_https: true }),
    ...maybe('accept_proxy', true),
  })
  const tcpFrontend = (pool: string) => ({
    bind: binds(),
    pool,
    ...maybe('tls', tlsFrom()),
    ...maybe('accept_proxy', true),
  })
  return {
    template: draw('slots', 'named'),
    ...maybe('stats', false, '127.0.0.1:1937'),
    ...maybe('old_workers', { max: 1 }, { max_age: '1s' }, { max: 100, max_age: '24h' }),
    frontends: {
      ...Object.fromEntries(some(3).map(at => [`http${at}`, httpFrontend()])),
      ...Object.fromEntries(raw.map(pool => [pool, tcpFrontend(pool)])),
    },
    pools: {
      ...Object.fromEntries(web.map(name => [name, poolFrom('http')])),
      ...Object.fromEntries(raw.map(name => [name, poolFrom('tcp')])),
    },
  }
}

const BALANCE = ['leastconn', 'roundrobin', 'first', 'source', 'random(2)']

function serversFor(pools: readonly string[], random: Random): Server[] {
  return pools.flatMap(pool =>
    Array.from({ length: random.below(5) }, (_, at): Server => {
      const name = at === 0 ? 'door' : `n${at}`
      return {
        pool,
        name,
        host: name,
        ip: `10.0.0.${at}`,
        port: 3000,
        weight: at * 64,
        state: 'ready',
        liveness: 'alive',
      }
    }),
  )
}
