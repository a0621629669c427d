import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { haproxySpec, preview } from '../balancer/index.ts'
import { silentLog } from '../base/index.ts'
import type { SerfMember } from '../serf/index.ts'
import { loadConfig } from './config/index.ts'
import { jsonSchema, type JsonSchema } from './config/check.ts'
import { balancerConfigOf, viewConfigOf } from './haproxy.ts'
import { ServerView } from './endpoints/servers.ts'

const directory = mkdtempSync(join(tmpdir(), 'mbk-'))
afterAll(() => rmSync(directory, { recursive: true }))
const template = join(directory, 'own.hbs')
writeFileSync(template, 'frontend x\n bind :80\n# {{data.region}}\n{{#each data.sites}}# {{host}}\n{{/each}}')

const TLS = { bind: ':444', certificates: '/a.pem' }

/** What the agent itself keeps; HAProxy is not told. */
const OWN = [
  'watch',
  'drift',
  'old_workers.max',
  'pools.<name>.hold.requests',
  'pools.<name>.min_servers',
  'pools.<name>.outliers',
]

/** For each key of `balancer` a value that is not the default, and what else it takes. */
const SAMPLES: Readonly<Record<string, { readonly set: unknown; readonly beside?: object }>> = {
  template: { set: 'named' },
  haproxy: { set: '/opt/haproxy' },
  config: { set: '/tmp/h.cfg' },
  stats: { set: '127.0.0.1:1999' },
  max_connections: { set: 123 },
  'frontends.<name>.bind': { set: [':81', ':82 ssl crt /x.pem'] },
  'frontends.<name>.pool': { set: 'api' },
  'frontends.<name>.mode': { set: 'tcp', beside: { frontends: { http: { pool: 'raw' } }, pools: { raw: {} } } },
  'frontends.<name>.routes': { set: [{ host: 'example.org', path: '/api', pool: 'api' }] },
  'frontends.<name>.tls.bind': { set: ':443', beside: { frontends: { http: { tls: TLS } } } },
  'frontends.<name>.tls.certificates': { set: ['/a.pem', '/b'], beside: { frontends: { http: { tls: TLS } } } },
  'frontends.<name>.tls.min_version': { set: 1.3, beside: { frontends: { http: { tls: TLS } } } },
  'frontends.<name>.redirect_to_https': { set: true, beside: { frontends: { http: { tls: TLS } } } },
  'frontends.<name>.accept_proxy': { set: true },
  'pools.<name>.mode': { set: 'tcp' },
  'pools.<name>.port': { set: 4321 },
  'pools.<name>.balance': { set: 'roundrobin' },
  'pools.<name>.check.tcp': { set: true, beside: { pools: { web: { check: { http: '/' } } } } },
  'pools.<name>.check.http': { set: '/health' },
  'pools.<name>.check.host': { set: 'example.org', beside: { pools: { web: { check: { http: '/' } } } } },
  'pools.<name>.check.interval': { set: '7s' },
  'pools.<name>.check.expect': { set: '200-204', beside: { pools: { web: { check: { http: '/' } } } } },
  'pools.<name>.check.port': { set: 4322 },
  'pools.<name>.check.timeout': { set: '3s' },
  'pools.<name>.check.fall': { set: 7 },
  'pools.<name>.check.rise': { set: 7 },
  'pools.<name>.sticky': { set: 'cookie' },
  'pools.<name>.sticky.header': { set: 'X-User', beside: { pools: { web: { sticky: {} } } } },
  'pools.<name>.sticky.cookie': { set: 'MINE', beside: { pools: { web: { sticky: {} } } } },
  'pools.<name>.sticky.key': { set: 'secret', beside: { pools: { web: { sticky: {} } } } },
  'pools.<name>.timeouts.connect': { set: '777ms' },
  'pools.<name>.timeouts.server': { set: '77s' },
  'pools.<name>.timeouts.queue': { set: '7s' },
  'pools.<name>.max_connections': { set: 77 },
  'pools.<name>.max_queue': { set: 77 },
  'pools.<name>.slots': { set: 7 },
  'pools.<name>.send_proxy': { set: 'v2' },
  'pools.<name>.server_tls.verify': { set: 'none', beside: { pools: { web: { server_tls: { verify: 'required' } } } } },
  'pools.<name>.server_tls.ca': { set: '/ca.pem', beside: { pools: { web: { server_tls: { verify: 'required' } } } } },
  'pools.<name>.retries.attempts': { set: 1 },
  'pools.<name>.retries.on': { set: [503] },
  'pools.<name>.retries.unsafe': { set: true },
  'pools.<name>.hold.time': { set: '0s' },
  'pools.<name>.slow_start': { set: '7s' },
  'old_workers.max_age': { set: '7m' },
  plain_pool: { set: 'api' },
  data: { set: { region: 'south', sites: [{ host: 'a.org' }] }, beside: { template } },
}

const BASE = {
  frontends: { http: { bind: ':80', pool: 'web' } },
  pools: { web: {}, api: {} },
  data: { region: 'north', sites: [] },
}

test('each key of `balancer` that the schema knows changes what HAProxy is given, or is refused', async () => {
  const schema = jsonSchema().properties?.['balancer'] as JsonSchema
  expect([...OWN, ...Object.keys(SAMPLES)].sort()).toEqual(leaves('', schema).sort())
  const ineffective: string[] = []
  for (const [key, { set, beside = {} }] of Object.entries(SAMPLES)) {
    const without = merged(BASE, beside)
    const path = key.split('.').map((part, at, all) => (part === '<name>' ? nameIn(all[at - 1]) : part))
    const before = await outcome(without)
    expect(before).not.toMatch(/^refused/)
    if (before === (await outcome(withSet(without, path, set)))) ineffective.push(key)
  }
  expect(ineffective).toEqual([])
})

test("the check's Host, the cookie and every time-out reach HAProxy as they were written", async () => {
  const web = {
    check: { http: '/up', host: 'a.org', interval: '100ms' },
    sticky: { cookie: 'MINE' },
    timeouts: { connect: '1s', server: '2s', queue: '3s' },
  }
  const text = await outcome({ ...BASE, max_connections: 99, pools: { web } })
  for (const line of [
    'http-check send meth GET uri /up ver HTTP/1.1 hdr Host a.org',
    'default-server inter 100ms fastinter 100ms downinter 100ms',
    'cookie MINE insert',
    'timeout connect 1000ms',
    'timeout server 2000ms',
    'timeout queue 3000ms',
    'maxconn 99\n',
  ])
    expect(text).toContain(line)
})

const MEMBER = { name: 'web-1', ip: '10.0.0.1', status: 'alive', tags: { role: 'backend' } } as unknown as SerfMember

/** Everything that HAProxy is given: its file with one plain member, and its command. */
async function outcome(balancer: object): Promise<string> {
  const file = join(directory, 'muster.yaml') // JSON is YAML
  writeFileSync(file, JSON.stringify({ cluster: { bind: '10.0.0.9:7946' }, balancer }))
  try {
    const config = loadConfig({ files: [{ kind: 'file', path: file }] })
    const settings = config.balancer
    if (settings === undefined) return 'no balancer'
    const own = balancerConfigOf(config, settings, '10.0.0.9')
    const view = new ServerView(viewConfigOf(settings, '10.0.0.9'), silentLog)
    const command = haproxySpec(own, own.haproxyPath ?? 'haproxy').command.join(' ')
    return `${command}\n${await preview(own, view.serversOf([MEMBER]))}`
  } catch (refusal) {
    return `refused: ${(refusal as Error).message}`
  }
}

function leaves(path: string, schema: JsonSchema): string[] {
  const found: string[] = []
  for (const form of [schema, ...(schema.anyOf ?? [])]) {
    for (const [key, inner] of Object.entries(form.properties ?? {}))
      found.push(...leaves(path === '' ? key : `${path}.${key}`, inner))
    if (typeof form.additionalProperties === 'object' && path !== 'data')
      found.push(...leaves(`${path}.<name>`, form.additionalProperties))
    else if (form.properties === undefined && form.anyOf === undefined && form.type !== 'null') found.push(path)
  }
  return [...new Set(found)]
}

function nameIn(map: string | undefined): string {
  return map === 'frontends' ? 'http' : 'web'
}

function withSet(base: object, path: readonly string[], value: unknown): object {
  const [key = '', ...rest] = path
  const inner = (base as Record<string, unknown>)[key]
  const below = typeof inner === 'object' && inner !== null ? inner : {}
  return { ...base, [key]: rest.length === 0 ? value : withSet(below, rest, value) }
}

function merged(a: object, b: object): object {
  return Object.entries(b).reduce(
    (all, [key, value]) =>
      typeof value === 'object' && value !== null
        ? withSet(all, [key], merged(((all as Record<string, unknown>)[key] ?? {}) as object, value as object))
        : withSet(all, [key], value),
    a,
  )
}
