import { expect, test } from 'vitest'
import { loadConfig } from '../agent/config/index.ts'
import { upFields } from './agent.ts'

test('an agent that is up says where it is found and what it does', () => {
  const flags = { bind: ['127.0.0.1:7001'], 'rpc-addr': ['127.0.0.1:7002'], 'state-dir': ['/s'], 'run-dir': ['/r'] }
  const config = loadConfig({ files: [], flags, env: {} })
  expect(upFields(config, 'web-1')).toEqual({
    ...{ node: 'web-1', gossip: '127.0.0.1:7001', rpc: '127.0.0.1:7002', api: '/r/agent.sock' },
    ...{ services: 'none', balancer: 'no', state_dir: '/s' },
  })
  const service = { ...config.services[0], name: 'web' } as (typeof config.services)[number]
  expect(upFields({ ...config, services: [service, { ...service, name: 'db' }] }, 'web-1')).toMatchObject({
    services: 'web,db',
  })
})
