import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Clock } from '../../base/index.ts'
import {
  decodeDrainLeft,
  decodeDrainRequest,
  type DrainCluster,
  type DrainPatience,
  drainEverywhere,
  encodeDrainLeft,
  encodeDrainRequest,
  isOwnBusiness,
} from './drain.ts'

/** Every wait is over at once, and that much later. */
function hurriedClock(): Clock & { nowMs(): number } {
  let nowMs = 0
  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    after(delayMs, fn) {
      queueMicrotask(() => {
        nowMs += delayMs
        fn()
      })
      return { cancel: () => undefined }
    },
  }
}

/** What each balancer answers, round by round; the last answer stays. `undefined`: silence. */
function cluster(answers: Record<string, readonly (string | undefined)[]>, alive = Object.keys(answers)) {
  let round = 0
  const made: DrainCluster & { alive: string[]; rounds: () => number } = {
    alive: [...alive],
    rounds: () => round,
    balancers: () => made.alive,
    async ask() {
      const said = Object.entries(answers).map(([name, all]) => [name, all[Math.min(round, all.length - 1)]] as const)
      round++
      return new Map(said.flatMap(([name, text]) => (text === undefined ? [] : [[name, Buffer.from(text)] as const])))
    },
  }
  return made
}

const REQUEST = { ip: '10.0.0.7', port: 3000 }
const drain = (of: DrainCluster, patience: DrainPatience = {}, signal = new AbortController().signal) =>
  drainEverywhere(of, REQUEST, hurriedClock(), signal, patience)

test('it ends when every balancer has nothing left, bound clients included', async () => {
  const ring = cluster({ a: ['3', '1', '0'], b: ['0', '0 1', '0 1', '0 1', '0'] })
  expect(await drain(ring)).toEqual({ left: new Map(), bound: [], silent: [], below: [] })
  expect(ring.rounds()).toBe(5)
})

test('while something is left for long it asks once a second, and at its time once more', async () => {
  const ring = cluster({ a: ['12'], b: ['0'] })
  expect(await drain(ring, { untilMs: 30_200 })).toMatchObject({ left: new Map([['a', 12]]) })
  expect(ring.rounds()).toBe(33)
})

test('at its time what is left is told, by balancer, from the last answer of each', async () => {
  const ring = cluster({ a: ['3'], b: ['0 1', undefined, undefined], c: ['0 0 web 1 1 1'] })
  expect(await drain(ring, { untilMs: 600 })).toEqual({
    left: new Map([
      ['a', 3],
      ['b', 0],
    ]),
    bound: ['b'],
    silent: [],
    below: [{ pool: 'web', has: 1, without: 1, min: 1 }],
  })
})

test('a silent balancer is named after a second, waited for until the deadline, and then not any more', async () => {
  const named: string[][] = []
  const ring = cluster({ a: ['0'], b: [undefined] })
  const outcome = await drain(ring, { untilMs: 3_000, onSilent: names => named.push([...names]) })
  expect(outcome).toMatchObject({ silent: ['b'], left: new Map() })
  expect(named).toEqual([['b']])
})

test('who would rather wait waits on, until the silent one answers or is known to have failed', async () => {
  const answering = cluster({ a: ['5'], b: [...Array.from({ length: 40 }, () => undefined), '0'] })
  expect(await drain(answering, { untilMs: 1_000, silent: 'wait' })).toMatchObject({ silent: [] })
  expect(answering.rounds()).toBe(41)
  const failing = cluster({ a: ['0'], b: [undefined] })
  const named: string[][] = []
  const outcome = await drain(failing, {
    ...{ untilMs: 1_000, silent: 'wait' },
    onSilent: names => {
      named.push([...names])
      failing.alive = ['a'] // its failure is found
    },
  })
  expect(outcome).toEqual({ left: new Map(), bound: [], silent: [], below: [] })
  expect(named).toEqual([['b'], []])
})

test('before a process may be stopped two rounds in a row must find nothing', async () => {
  const ring = cluster({ a: ['1', '0', '1', '0', '0'], b: ['0'] })
  const out = { ...REQUEST, phase: 'out' as const }
  await drainEverywhere(ring, out, hurriedClock(), new AbortController().signal)
  expect(ring.rounds()).toBe(5)
})

test('whoever is in a hurry gets the answers of one more round', async () => {
  const hurry = new AbortController()
  hurry.abort()
  expect(await drain(cluster({ a: ['7'] }), {}, hurry.signal)).toMatchObject({ left: new Map([['a', 7]]) })
})

test('without a balancer there is nobody to wait for', async () => {
  expect(await drain(cluster({}))).toEqual({ left: new Map(), bound: [], silent: [], below: [] })
})

test('requests and answers read back; nonsense is no request, and counts as busy', () => {
  for (const phase of ['drain', 'out'] as const) {
    for (const ip of ['10.0.0.7', 'fd00::7'])
      expect(decodeDrainRequest(encodeDrainRequest({ ip, port: 80, phase }))).toEqual({ ip, port: 80, phase })
  }
  const below = { pool: 'web', has: 3, without: 1, min: 3 }
  for (const one of [
    { left: 0, isBound: false },
    { left: 2, isBound: true },
    { left: 0, isBound: true, below },
  ])
    expect(decodeDrainLeft(encodeDrainLeft(one))).toEqual(one)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), payload => {
      decodeDrainRequest(payload)
      expect(decodeDrainLeft(payload).left).toBeGreaterThanOrEqual(0)
    }),
  )
  expect(decodeDrainRequest(Buffer.from('10.0.0.7 80 now'))).toBeUndefined()
  expect(decodeDrainLeft(Buffer.from('-1')).left).toBe(1)
})

test("neither handlers nor people hear of Muster's own queries", () => {
  const named = (name: string) => isOwnBusiness({ kind: 'query', name })
  expect(['muster-drain', 'muster-drains', 'load'].map(named)).toEqual([true, true, false])
})
