import { expect, test } from 'vitest'
import type { CommandEntry } from '../../journal/index.ts'
import type { RpcBackend } from '../../serf/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { commandsOnRecord } from './rpc-journal.ts'

test('what changes something over RPC is on record with what came of it; secrets and questions are not', async () => {
  const records: Omit<CommandEntry, 'kind'>[] = []
  const answers = { error: '1/2 nodes reported failure' }
  const backend = {
    members: () => [],
    join: async () => ({ contacted: 1, errors: [] }),
    forceLeave: () => Promise.reject(new Error('no such member')),
    userEvent: async () => undefined,
    setTags: async () => undefined,
    keys: async () => answers,
  } as unknown as RpcBackend
  const known = commandsOnRecord(backend, new VirtualClock(), command => void records.push(command))
  known.members()
  await known.join(['10.0.0.1', '10.0.0.2'], { ignoreOld: true })
  await expect(known.forceLeave('web-9', true)).rejects.toThrow('no such member')
  await known.userEvent('deploy', Buffer.from('password'), false)
  await known.setTags({ role: 'web' })
  await known.keys?.('list', '')
  expect(await known.keys?.('install', 'c2VjcmV0')).toBe(answers)
  expect(records.map(({ command, outcome }) => [command, outcome])).toEqual([
    ['join 10.0.0.1 10.0.0.2', 'contacted 1 of 2'],
    ['force-leave -prune web-9', 'failed: no such member'],
    ['event deploy', 'done'],
    ['tags role=web', 'done'],
    ['keys -install', 'failed: 1/2 nodes reported failure'],
  ])
  expect(records.every(({ actor, tookMs }) => actor === 'over RPC' && tookMs === 0)).toBe(true)
})
