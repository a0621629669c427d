import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { schemaDocument } from './document.ts'
import { fakeWorld } from './fake-world.ts'
import { loadConfig } from './load.ts'
import type { AgentConfig } from './types.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')

/** For every key of `cluster` something other than its default. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  engine: 'serf',
  bind: '10.0.0.1:7000',
  advertise: '10.0.0.2:7000',
  interface: 'eth0',
  join: ['10.0.0.3'],
  retry_join: ['10.0.0.4'],
  retry_interval: '7s',
  retry_max: 3,
  replay: true,
  discover: 'shop',
  mdns: { disable_ipv6: true },
  profile: 'wan',
  encrypt: KEY,
  keyring: '/keyring.json',
  key_grace: '24h',
  snapshot: '/elsewhere',
  rejoin_after_leave: true,
  tags_file: '/tags.json',
  compress: false,
  protocol: 4,
  rpc: '127.0.0.1:7000',
  rpc_auth: 'secret',
  broadcast_timeout: '7s',
  reconnect_interval: '7s',
  reconnect_timeout: '7s',
  tombstone_timeout: '7s',
  user_event_size_limit: 700,
  query_size_limit: 700,
  query_response_size_limit: 700,
  disable_name_resolution: true,
  skip_leave_on_interrupt: true,
}

function load(cluster: Record<string, unknown>): AgentConfig {
  const world = fakeWorld({
    '/muster.yaml': JSON.stringify({ cluster }),
    '/keyring.json': JSON.stringify([KEY]),
    '/tags.json': '{"kept": "yes"}',
  })
  const { origin: _, ...config } = loadConfig({ files: [{ kind: 'file', path: '/muster.yaml' }] }, world)
  return config
}

const schema = JSON.parse(schemaDocument()) as { properties: { cluster: { properties: Record<string, unknown> } } }

test('every key of cluster has a sample here', () => {
  expect(Object.keys(SAMPLES).sort()).toEqual(Object.keys(schema.properties.cluster.properties).sort())
})

test.each(Object.entries(SAMPLES))('cluster.%s changes what the agent is told, or warns', (key, sample) => {
  expect(load({ [key]: sample })).not.toEqual(load({}))
})

test('what the agent is told about the cluster is read by something', () => {
  const src = fileURLToPath(new URL('../../', import.meta.url))
  const texts = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('agent/config/'))
    .map(name => readFileSync(`${src}${name}`, 'utf8'))
  const { engine: _, ...gossip } = SAMPLES
  const told = Object.keys(
    load(Object.fromEntries(Object.entries(gossip).filter(([key]) => key !== 'encrypt'))).cluster,
  )
  const isRead = (key: string) => {
    const reading = new RegExp(`\\bcluster\\??\\.${key}\\b|\\{[^{}]*\\b${key}\\b[^{}]*\\} = [\\w.]*\\bcluster\\b`)
    return texts.some(text => reading.test(text))
  }
  expect(told.filter(key => !isRead(key))).toEqual([])
})

test('the tags file is read at the start, and has to be a map of text to text', () => {
  expect(load({ tags_file: '/tags.json' }).node.tags).toEqual({ kept: 'yes' })
  expect(load({ tags_file: '/not-there-yet.json' }).node.tags).toEqual({})
  expect(load({ tags_file: '/tags.json', engine: 'serf' })).toMatchObject({ node: { tags: {} } })
  const list = 'cluster.tags_file: /keyring.json: is not a JSON map of text to text'
  expect(() => load({ tags_file: '/keyring.json' })).toThrow(list)
})

test('protocols without queries are refused', () => {
  expect(() => load({ protocol: 3 })).toThrow('cluster.protocol: 2 and 3 have no queries')
})
