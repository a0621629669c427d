import { expect, test } from 'vitest'
import { decodeBase64 } from './base64.ts'
import type { QueryAnswer } from './effects.ts'
import { KeyRequests } from './key-requests.ts'
import { decodeSerfMessage, encodeSerfMessage, type KeyResponse } from './messages.ts'
import type { QueryParams } from './queries.ts'

const KEY = 'AAECAwQFBgcICQoLDA0ODw=='

function said(from: string, response: Partial<KeyResponse>): QueryAnswer {
  const whole = {
    type: 'keyResponse',
    keys: undefined,
    message: '',
    primaryKey: '',
    result: true,
    ...response,
  } as const
  return { kind: 'response', from, payload: encodeSerfMessage(whole) }
}

/** A ring of `members` that gives these answers; `ended` when the asker wants no more. */
function ring(members: number, answers: readonly QueryAnswer[]) {
  const asked: QueryParams[] = []
  let left = answers.length
  const requests = new KeyRequests({
    memberCount: () => members,
    async query(params) {
      asked.push(params)
      return (async function* () {
        for (const answer of answers) {
          left--
          yield answer
        }
      })()
    },
  })
  return { requests, asked, unread: () => left }
}

test('every member that reports success makes a change a success; the query carries the raw key', async () => {
  const { requests, asked } = ring(2, [said('a', {}), said('b', {})])
  const answers = await requests.ask('install', KEY)
  expect(answers).toMatchObject({ error: '', keys: undefined, errors: 0, members: 2, answers: 2 })
  expect(asked[0]?.name).toBe('_serf_install-key')
  const request = decodeSerfMessage(asked[0]?.payload as Uint8Array)
  expect(request).toMatchObject({ type: 'keyRequest', key: new Uint8Array(Buffer.from(KEY, 'base64')) })
})

test('refusals are counted by member, in their own words; missing answers are the lesser error (Serf 9)', async () => {
  const refusal = { result: false, message: 'Removing the primary key is not allowed' }
  const some = await ring(3, [said('a', {}), said('b', refusal)]).requests.ask('remove', KEY)
  expect([some.error, some.errors, some.answers]).toEqual(['1/3 nodes reported failure', 1, 2])
  expect(Object.fromEntries(some.messages)).toEqual({ b: 'Removing the primary key is not allowed' })
  const few = await ring(3, [said('a', {})]).requests.ask('use', KEY)
  expect(few.error).toBe('1/3 nodes reported success')
})

test('a list counts members for each key; a remark beside success is kept and is no failure', async () => {
  const other = 'AAAAAAAAAAAAAAAAAAAAAA=='
  const answers = await ring(2, [
    said('a', { keys: [KEY], primaryKey: KEY }),
    said('b', { keys: [KEY, other], primaryKey: other, message: 'truncated' }),
  ]).requests.ask('list')
  expect(answers.error).toBe('')
  expect(Object.fromEntries(answers.keys ?? [])).toEqual({ [KEY]: 2, [other]: 1 })
  expect(Object.fromEntries(answers.primaryKeys)).toEqual({ [KEY]: 1, [other]: 1 })
  expect(Object.fromEntries(answers.messages)).toEqual({ b: 'truncated' })
})

test('answers that are none count as failures, in Serf words; acks do not count', async () => {
  const none = (from: string, ...bytes: number[]): QueryAnswer => ({
    ...{ kind: 'response', from, payload: Uint8Array.from(bytes) },
  })
  const ack: QueryAnswer = { kind: 'ack', from: 'd', payload: new Uint8Array(0) }
  const answers = await ring(3, [ack, none('a', 7, 0x80), none('b'), none('c', 8, 0xc1)]).requests.ask('list')
  expect([answers.error, answers.answers]).toEqual(['3/3 nodes reported failure', 3])
  expect(Object.fromEntries(answers.messages)).toEqual({
    a: 'Invalid key query response type: [7 128]',
    b: 'Invalid key query response type: []',
    c: 'Failed to decode key query response: [8 193]',
  })
})

test('the query ends when all have answered, not at its deadline', async () => {
  const { requests, unread } = ring(1, [said('a', {}), said('late', {})])
  expect(await requests.ask('install', KEY)).toMatchObject({ answers: 1 })
  expect(unread()).toBe(1)
})

test('changes wait for each other, also after one that was refused before it was asked', async () => {
  const order: string[] = []
  const requests = new KeyRequests({
    memberCount: () => 1,
    async query({ name }) {
      order.push(`${name} asked`)
      return (async function* () {
        yield said('a', {})
        await Promise.resolve()
        order.push(`${name} done`)
      })()
    },
  })
  const results = await Promise.all([
    requests.ask('install', KEY),
    requests.ask('install', 'not base64!'),
    requests.ask('use', KEY),
  ])
  expect(order[0]).toBe('_serf_install-key asked')
  expect(order.filter(line => line.endsWith('asked'))).toEqual(['_serf_install-key asked', '_serf_use-key asked'])
  expect(results.map(({ error }) => error)).toEqual(['', 'illegal base64 data at input byte 3', ''])
})

test('a query that cannot be sent is the error, with nothing counted', async () => {
  const requests = new KeyRequests({
    memberCount: () => 3,
    query: () => Promise.reject(new Error('query exceeds limit of 1024 bytes')),
  })
  expect(await requests.ask('list')).toMatchObject({
    error: 'query exceeds limit of 1024 bytes',
    members: 0,
    errors: 0,
  })
})

test('base64 is read as Go reads it, and refused with the byte that Go names', () => {
  expect(decodeBase64(KEY)).toEqual(Buffer.from(KEY, 'base64'))
  expect(decodeBase64('')).toHaveLength(0)
  expect(decodeBase64('QU\nJD\r\n')).toEqual(Buffer.from('ABC'))
  // As printed by the real `serf keys -install` (0.9.4) for the same texts.
  for (const [text, at] of [
    ['abc', 0],
    ['abcde', 4],
    ['a*==', 1],
    ['a===', 1],
    ['ab=', 3],
    ['ab=c', 2],
    ['ab==c', 4],
    ['abc=d', 4],
    ['abcd=', 4],
    ['äbcd', 0],
  ] as const)
    expect(() => decodeBase64(text), text).toThrow(`illegal base64 data at input byte ${at}`)
})
