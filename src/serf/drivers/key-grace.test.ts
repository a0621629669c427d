import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type LogFields, silentLog } from '../../base/index.ts'
import { Keyring } from '../../memberlist/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import { decodeSerfMessage, encodeSerfMessage, QueryFlag, type QueryMessage } from '../messages.ts'
import { answerKeys } from './key-answers.ts'
import { forgetRetired, RetiredKeys } from './retired-keys.ts'
import { StaleMembers } from './stale-members.ts'

const HOUR_MS = 3_600_000
const key = (n: number) => new Uint8Array(16).fill(n)

function setup(clock = new VirtualClock()) {
  const directory = mkdtempSync(join(tmpdir(), 'grace-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'keyring.json')
  const lines: string[] = []
  const note = (_: LogFields, sentence: string) => void lines.push(sentence)
  const log = { ...silentLog, warn: note, error: note }
  const start = async (graceMs: number, keys: Uint8Array[]) => {
    const keyring = new Keyring(keys)
    const retired = new RetiredKeys(keyring, path, graceMs, { clock, log })
    await retired.open()
    return { keyring, retired }
  }
  return { clock, file: `${path}.retired`, lines, start }
}

test('a retired key outlives a restart with the end that it had, in a private file that goes with it', async () => {
  const { clock, file, start } = setup()
  const first = await start(2 * HOUR_MS, [key(1), key(2)])
  first.keyring.retire(key(2))
  await first.retired.changed()
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([
    { key: Buffer.from(key(2)).toString('base64'), until: new Date(clock.wallMs() + 2 * HOUR_MS).toISOString() },
  ])
  clock.advance(1.5 * HOUR_MS)
  first.retired.close()
  const second = await start(2 * HOUR_MS, [key(1)])
  expect(second.keyring.retired).toEqual([key(2)])
  clock.advance(0.4 * HOUR_MS)
  expect(second.keyring.retired).toEqual([key(2)])
  clock.advance(0.2 * HOUR_MS)
  expect(second.keyring.retired).toEqual([])
  while (existsSync(file)) await new Promise(done => setImmediate(done))
})

test('a shorter grace time shortens what is kept, and a key that is back in the ring is retired no more', async () => {
  const { clock, start } = setup()
  const first = await start(9 * HOUR_MS, [key(1), key(2), key(3)])
  first.keyring.retire(key(2))
  first.keyring.retire(key(3))
  await first.retired.changed()
  first.retired.close()
  const second = await start(HOUR_MS, [key(1), key(3)])
  expect(second.keyring.retired).toEqual([key(2)])
  clock.advance(1.1 * HOUR_MS)
  expect(second.keyring.retired).toEqual([])
})

test('a start without a grace time ends that of keys removed earlier', async () => {
  const { file, lines } = setup()
  writeFileSync(file, '[]')
  await forgetRetired(file.replace('.retired', ''), silentLog)
  expect([existsSync(file), lines]).toEqual([false, []])
})

test('a file of retired keys that makes no sense is said, and the agent starts without them', async () => {
  for (const text of [
    '',
    '{}',
    '[1]',
    '[{"key":"AA==","until":"2026-01-01T00:00:00Z"}]',
    'x'.repeat(20_000),
    '[null]',
  ]) {
    const { file, lines, start } = setup()
    writeFileSync(file, text)
    expect((await start(HOUR_MS, [key(1)])).keyring.retired).toEqual([])
    expect(lines).toEqual(['cannot use the retired keys; who has missed a rotation does not come back by itself'])
  }
})

/** A ring whose messages are the queries' names and keys, as text. */
function ringOf(keys: Uint8Array[]) {
  const sent: string[] = []
  let rounds = 0
  const ring = {
    keyring: new Keyring(keys),
    encode(queries: readonly { name: string; payload: Uint8Array }[]) {
      rounds++
      return queries.map(({ name, payload }) => {
        const request = decodeSerfMessage(payload)
        return Buffer.from(`${name} ${request.type === 'keyRequest' ? request.key[0] : ''}`)
      })
    },
    send: (under: Uint8Array, to: { ip: string }, body: Uint8Array) =>
      void sent.push(`${under[0]} ${to.ip} ${Buffer.from(body).toString()}`),
  }
  return { ring, sent, rounds: () => rounds }
}

test('whoever speaks with a retired key is given all present keys, then the primary, then told to drop it', () => {
  const clock = new VirtualClock()
  const { ring, sent } = ringOf([key(5), key(6)])
  const stale = new StaleMembers(ring, { clock, log: silentLog })
  for (let packet = 0; packet < 50; packet++) stale.heard({ ip: '10.0.0.9', port: 7946 }, key(1))
  clock.advance(999)
  const round = [
    '1 10.0.0.9 _serf_install-key 5',
    '1 10.0.0.9 _serf_install-key 6',
    '1 10.0.0.9 _serf_use-key 5',
    '1 10.0.0.9 _serf_remove-key 1',
  ]
  expect(sent).toEqual(round)
  clock.advance(1)
  stale.heard({ ip: '10.0.0.9', port: 7946 }, key(1)) // a packet was lost
  clock.advance(500)
  expect(sent).toEqual([...round, ...round])
})

test('who goes on with a retired key is given the present ones after 1, 2, 4 … seconds, and then once a minute', () => {
  const clock = new VirtualClock()
  const { ring, rounds } = ringOf([key(5)])
  const stale = new StaleMembers(ring, { clock, log: silentLog })
  for (let second = 0; second < 300; second++) {
    stale.heard({ ip: '10.0.0.9', port: 7946 }, key(1))
    clock.advance(1_000)
  }
  expect(rounds()).toBe(10) // 0, 1, 3, 7, 15, 31, 63 … s
})

test('thousands of addresses with a retired key are not all served', () => {
  const { ring, rounds } = ringOf([key(5)])
  const stale = new StaleMembers(ring, { clock: new VirtualClock(), log: silentLog })
  for (let host = 0; host < 5_000; host++) stale.heard({ ip: `10.0.${host >> 8}.${host & 255}`, port: 7946 }, key(1))
  expect(rounds()).toBe(64)
})

test('a member that is given the keys does not begin a grace time of its own for the old one', async () => {
  const { start } = setup()
  for (const [flags, expected] of [
    [0, [key(2)]],
    [QueryFlag.noBroadcast, []], // to it alone
  ] as const) {
    const { keyring, retired } = await start(HOUR_MS, [key(1), key(2)])
    const payload = encodeSerfMessage({ type: 'keyRequest', key: key(2) })
    const query = { name: '_serf_remove-key', payload, flags } as QueryMessage
    const config = { keyring } as unknown as Parameters<typeof answerKeys>[1]
    await answerKeys(query, config, bytes => bytes, retired)
    expect([keyring.keys, keyring.retired]).toEqual([[key(1)], expected])
    retired.close()
  }
})
