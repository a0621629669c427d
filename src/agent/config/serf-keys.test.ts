import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fakeWorld } from './fake-world.ts'
import { loadConfig } from './load.ts'
import { SERF_KEYS_WITHOUT_EFFECT, SETTINGS } from './settings.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')

/** Every key of Serf's files up to 0.10.2, each as Serf takes it. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  ...{ node_name: 'web-1', role: 'web', tags: { dc: 'east' }, tags_file: '/tags.json', bind: '10.0.0.1:7946' },
  ...{ advertise: '10.0.0.1', interface: 'eth0', encrypt_key: KEY, keyring_file: '/keyring.json', log_level: 'DEBUG' },
  ...{ rpc_addr: '127.0.0.1:7000', rpc_auth: 'secret', protocol: 4, replay_on_join: true, start_join: ['10.0.0.2'] },
  ...{ retry_join: ['10.0.0.3'], retry_interval: '10s', retry_max_attempts: 3, event_handlers: ['user:x=/bin/true'] },
  ...{ profile: 'wan', snapshot_path: '/snapshot', rejoin_after_leave: true, leave_on_terminate: true },
  ...{
    skip_leave_on_interrupt: true,
    discover: 'shop',
    mdns: { interface: 'eth0', disable_ipv4: false, disable_ipv6: true },
  },
  ...{ reconnect_interval: '10s', reconnect_timeout: '10s', tombstone_timeout: '10s', disable_name_resolution: true },
  ...{ enable_syslog: true, syslog_facility: 'LOCAL3', query_response_size_limit: 2048, query_size_limit: 2048 },
  ...{
    user_event_size_limit: 1024,
    broadcast_timeout: '7s',
    statsite_addr: '127.0.0.1:8125',
    statsd_addr: '127.0.0.1:8125',
  },
  ...{ enable_compression: true, disable_coordinates: true, validate_node_names: true },
}

function load(serf: Record<string, unknown>) {
  const world = fakeWorld({
    '/etc/serf/serf.conf': JSON.stringify(serf),
    '/keyring.json': JSON.stringify([KEY]),
    '/tags.json': '{"kept": "yes"}',
  })
  const { origin: _, ...config } = loadConfig(
    { files: [{ kind: 'file', path: '/etc/serf/serf.conf' }], serf: true },
    world,
  )
  return config
}

const WITHOUT_EFFECT = Object.keys(SERF_KEYS_WITHOUT_EFFECT)

test('every key of Serf is known, and nothing that Serf does not have', () => {
  const known = [...new Set(SETTINGS.flatMap(({ serf }) => serf ?? [])), ...WITHOUT_EFFECT]
  expect(Object.keys(SAMPLES).sort()).toEqual(known.sort())
})

test.each(Object.entries(SAMPLES))(
  '%s in a file of Serf changes what the agent is told, or has no effect on purpose',
  (key, sample) => {
    const [plain, given] = [load({}), load({ [key]: sample, ...(key === 'mdns' ? { discover: 'shop' } : {}) })]
    if (WITHOUT_EFFECT.includes(key)) expect({ ...given, warnings: [] }).toEqual(plain)
    else if (key === 'syslog_facility')
      expect(load({ [key]: sample, enable_syslog: true })).toMatchObject({ syslogFacility: 19 })
    else expect(given).not.toEqual(plain)
  },
)

test('keys without effect are in the list for those who come from Serf', () => {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/coming-from-serf.md', import.meta.url)), 'utf8')
  expect(WITHOUT_EFFECT.filter(key => !page.includes(`\`${key}\``))).toEqual([])
})

test('keys have no case, those of mdns neither', () => {
  const written = load({ Discover: 'shop', MDNS: { Disable_IPv6: true } })
  expect(written).toEqual(load({ discover: 'shop', mdns: { disable_ipv6: true } }))
})

test('empty values are as if they were not there: mdns of nothing, syslog that is off', () => {
  expect(load({ mdns: { interface: '', disable_ipv4: false }, enable_syslog: false, discover: '' })).toEqual(load({}))
})
