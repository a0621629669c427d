import { expect, test } from 'vitest'
import { fakeWorld } from './fake-world.ts'
import { loadConfig } from './load.ts'
import { ConfigError } from './problems.ts'

function load(balancer: string) {
  const yaml = `balancer: ${balancer}\n`
  const config = loadConfig(
    { files: [{ kind: 'file', path: '/etc/m/muster.yaml' }] },
    fakeWorld({ '/etc/m/muster.yaml': yaml }),
  )
  if (config.balancer === undefined) throw new Error('no balancer')
  return config.balancer
}

function complaintAbout(balancer: string): string {
  try {
    load(balancer)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'no complaint'
}

test('two sites by host and path, with TLS, from certificates beside muster.yaml', () => {
  const { frontends, pools } = load(`
  frontends:
    www:
      bind: ":80"
      tls: { bind: ":443", certificates: [site.pem, /etc/ssl/more], min_version: 1.3 }
      redirect_to_https: true
      routes:
        - { host: [WWW.Example.org, "*.example.org"], path: /api/, pool: api }
        - { host: shop.example.org, pool: shop }
`)
  expect(frontends).toEqual([
    {
      name: 'www',
      binds: [':80'],
      mode: 'http',
      routes: [
        { hosts: ['www.example.org', '*.example.org'], path: '/api', pool: 'api' },
        { hosts: ['shop.example.org'], pool: 'shop' },
      ],
      tls: { binds: [':443'], certificates: ['/etc/m/site.pem', '/etc/ssl/more'], minVersion: '1.3' },
      redirectToHttps: true,
      acceptProxy: false,
    },
  ])
  expect(pools.map(pool => pool.name)).toEqual(['api', 'shop'])
})

test('a pool holds the door, repeats what may be repeated, and keeps its last server', () => {
  const [pool] = load('{ pools: { web: {} } }').pools
  expect(pool).toMatchObject({
    mode: 'http',
    hold: { timeMs: 10_000, requests: 1000 },
    retries: {
      attempts: 3,
      on: ['conn-failure', 'empty-response', 'junk-response', 'response-timeout'],
      unsafe: false,
    },
    check: { kind: 'tcp', intervalMs: 1000, timeoutMs: 500, fall: 2, rise: 1 },
    ...{ slowStartMs: 0, minServers: 1, outliers: true },
  })
  expect(load('{}')).toMatchObject({ oldWorkers: { max: 8, maxAgeMs: 3_600_000 }, watch: false, drift: 'restore' })
})

test('a frontend in mode tcp makes its pool one, with long silences and no door', () => {
  const { pools } = load('{ frontends: { db: { bind: ":5432", pool: pg, mode: tcp, accept_proxy: true } } }')
  expect(pools).toMatchObject([{ name: 'pg', mode: 'tcp', serverTimeoutMs: 3_600_000, hold: { timeMs: 0 } }])
})

test('the kinds of stickiness', () => {
  const stickyOf = (yaml: string) => load(`{ pools: { web: { sticky: ${yaml} } } }`).pools[0]?.sticky
  expect(stickyOf('cookie')).toEqual({ kind: 'cookie', cookie: 'SRV', key: 'web' })
  expect(stickyOf('{ cookie: A, key: k }')).toEqual({ kind: 'cookie', cookie: 'A', key: 'k' })
  expect(stickyOf('source')).toEqual({ kind: 'source' })
  expect(stickyOf('{ header: X-User }')).toEqual({ kind: 'header', header: 'X-User' })
})

test('servers behind TLS are checked against a file beside muster.yaml, or what the host trusts', () => {
  const tlsOf = (yaml: string) => load(`{ pools: { web: { server_tls: ${yaml} } } }`).pools[0]?.serverTls
  expect(tlsOf('{ verify: required, ca: ca.pem }')).toEqual({ verify: 'required', ca: '/etc/m/ca.pem' })
  expect(tlsOf('{ verify: required }')).toEqual({ verify: 'required', ca: '@system-ca' })
  expect(tlsOf('{ verify: none }')).toEqual({ verify: 'none' })
})

test.each([
  ['{ frontends: { a: { pool: web } } }', 'frontends.a.bind: is needed'],
  ['{ frontends: { a: { bind: ":80" } } }', 'frontends.a.pool: is needed, or "routes"'],
  ['{ frontends: { a: { bind: ":80", routes: [{ pool: web }] } } }', 'routes.0: takes a host, a path or both'],
  ['{ frontends: { a: { bind: ":80", routes: [{ hots: x, pool: web }] } } }', 'did you mean "host"?'],
  [
    '{ frontends: { a: { bind: ":80", routes: [{ host: "a b", pool: web }] } } }',
    'takes www.example.org or *.example.org, not "a b"',
  ],
  ['{ frontends: { a: { bind: ":80", routes: [{ path: "/a b", pool: web }] } } }', 'takes the beginning of a path'],
  ['{ frontends: { a: { bind: ":80", pool: web, routes: [{ path: /a, pool: wbe }] } }, pools: { web: } }', '"web"?'],
  ['{ frontends: { a: { bind: ":80", pool: web, redirect_to_https: true } } }', 'no "tls" in this frontend'],
  [
    '{ frontends: { a: { bind: ":80", pool: web, tls: { bind: ":80", certificates: c } } } }',
    ':80 is taken by frontends.a',
  ],
  [
    '{ frontends: { a: { bind: ":80", pool: web, tls: { bind: ":81", certificates: "a b" } } } }',
    'takes a path of letters',
  ],
  ['{ frontends: { a: { bind: ":80", pool: w, mode: tcp } }, pools: { w: { mode: http } } }', 'pool "w" has mode http'],
  ['{ frontends: { a: { bind: ":80", pool: w } }, pools: { w: { mode: tcp, sticky: cookie } } }', 'takes source only'],
  ['{ pools: { w: { mode: tcp, hold: { time: 3s } } } }', 'no requests that could wait'],
  ['{ pools: { w: { mode: tcp, balance: "hdr(x)" } } }', 'mode tcp cannot see requests'],
  ['{ pools: { w: { hold: { time: 30s } } } }', 'hold.time: must be at least 500 ms below timeouts.server'],
  ['{ pools: { w: { sticky: { header: X, cookie: Y } } } }', '"header" and "cookie" exclude each other'],
  ['{ pools: { w: { check: { expect: "20" } } } }', 'takes a status such as 200'],
  ['{ pools: { w: { check: { expect: 200 } } } }', 'is for a check with "http"'],
  ['{ pools: { w: { retries: { on: [all] } } } }', 'takes conn-failure'],
  ['{ pools: { w: { server_tls: { verify: none, ca: x } } } }', 'means nothing with "verify: none"'],
])('what contradicts itself is refused in words: %s', (balancer, words) => {
  expect(complaintAbout(balancer)).toContain(words)
})
