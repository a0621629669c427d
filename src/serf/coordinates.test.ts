import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { CodecError } from '../codec/index.ts'
import {
  type Coordinate,
  coordinateRecord,
  decodePingPayload,
  distanceS,
  encodePingPayload,
  isSound,
  ORIGIN,
} from './coordinate.ts'
import { Coordinates } from './coordinates.ts'

interface Written {
  Vec: number[]
  Error: number
  Adjustment: number
  Height: number
}
interface Vector {
  name: string
  hex: string
  decoded: {
    coordinate?: Written
    start?: Written
    other?: Written
    answer_delays_seconds_in_order?: number[]
    updates?: { filtered_rtt_seconds: number; coordinate_after: Written }[]
  }
}
const file = new URL('../../test/vectors/serf.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vector[]
const recorded = (name: string) => vectors.find(vector => vector.name === name) as Vector
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const read = (c: Written): Coordinate => ({ vec: c.Vec, error: c.Error, adjustment: c.Adjustment, height: c.Height })
const flat = (c: Coordinate) => [...c.vec, c.error, c.adjustment, c.height]

for (const name of ['ping-payload-fresh', 'ping-payload-moved', 'coordinate-updates']) {
  test(`the recorded ${name} decodes to its coordinate, and encodes to the same bytes`, () => {
    const { hex, decoded } = recorded(name)
    const coordinate = decodePingPayload(bytesOf(hex))
    expect(coordinate).toEqual(read((decoded.coordinate ?? decoded.other) as Written))
    expect(Buffer.from(encodePingPayload(coordinate)).toString('hex')).toBe(hex)
    expect(encodePingPayload(coordinate)).toHaveLength(130)
  })
}

test('after each recorded observation we stand where the real agent stood (Serf 16.4)', () => {
  const {
    start,
    other,
    updates = [],
    answer_delays_seconds_in_order: delays = [],
  } = recorded('coordinate-updates').decoded
  const coordinates = new Coordinates(seededRandom(1))
  expect(coordinates.own).toEqual(read(start as Written))
  const unfiltered = rawRtts(
    updates.map(u => u.filtered_rtt_seconds),
    delays,
  )
  for (const [i, { coordinate_after }] of updates.entries()) {
    expect(coordinates.observe('peer', read(other as Written), unfiltered[i] as number)).toBe(true)
    const [ours, theirs] = [flat(coordinates.own), flat(read(coordinate_after))]
    for (const [at, value] of ours.entries()) expect(Math.abs(value - (theirs[at] as number))).toBeLessThan(1e-15)
  }
  expect(coordinates.of('peer')).toEqual(read(other as Written))
})

/** What the median filter gave is recorded; what went in is one of those values, or was never chosen: then the delay does. */
function rawRtts(filtered: readonly number[], delays: readonly number[]): number[] {
  return filtered.map((_, i) => {
    const delay = delays[i % delays.length] as number
    const candidates = [filtered[i] as number, ...filtered]
    return candidates.find(rtt => rtt > delay && rtt < delay + 0.005) ?? delay
  })
}

test('two that start in one place part in a random direction, and settle at the distance that is measured', () => {
  const [a, b] = [new Coordinates(seededRandom(1)), new Coordinates(seededRandom(2))]
  for (let i = 0; i < 200; i++) {
    a.observe('b', b.own, 0.08)
    b.observe('a', a.own, 0.08)
  }
  expect(distanceS(a.own, b.own)).toBeCloseTo(0.08, 3)
  expect(a.own.error).toBeLessThan(0.1)
  expect(isSound(a.own)).toBe(true)
})

test('a ring spread over a continent estimates round trips that it never measured, within a tenth (Vivaldi)', () => {
  const random = seededRandom(16)
  const places = Array.from({ length: 24 }, () => ({ x: random.float() * 0.08, y: random.float() * 0.04, link: 0.001 }))
  const nodes = places.map((place, i) => ({ ...place, name: `n${i}`, coordinates: new Coordinates(seededRandom(i)) }))
  type Node = (typeof nodes)[number]
  const rttS = (a: Node, b: Node) => Math.hypot(a.x - b.x, a.y - b.y) + a.link + b.link
  for (let round = 0; round < 400; round++) {
    for (const [i, node] of nodes.entries()) {
      const peer = nodes[(i + 1 + random.below(8)) % nodes.length] as Node // a third of the ring, never the rest
      node.coordinates.observe(peer.name, peer.coordinates.own, rttS(node, peer) * (1 + 0.05 * random.float()))
    }
  }
  const errors = nodes.flatMap(a =>
    nodes.filter(b => b !== a).map(b => Math.abs(distanceS(a.coordinates.own, b.coordinates.own) / rttS(a, b) - 1)),
  )
  errors.sort((a, b) => a - b)
  expect(errors[errors.length >> 1]).toBeLessThan(0.1)
  expect(nodes.map(node => node.coordinates.resets).every(resets => resets === 0)).toBe(true)
})

test('nonsense from a peer changes nothing: another dimension, not a number, a round trip below 0 or above 10 s', () => {
  const coordinates = new Coordinates(seededRandom(1))
  for (const bad of [
    { ...ORIGIN, vec: [0] },
    { ...ORIGIN, height: Number.NaN },
    { ...ORIGIN, vec: ORIGIN.vec.map(() => Number.POSITIVE_INFINITY) },
  ])
    expect(coordinates.observe('a', bad, 0.1)).toBe(false)
  for (const rttS of [-0.001, 10.001, Number.NaN]) expect(coordinates.observe('a', ORIGIN, rttS)).toBe(false)
  expect([coordinates.own, coordinates.of('a')]).toEqual([ORIGIN, undefined])
})

test('a peer that pushes us out of all bounds costs one reset to the origin, and is counted', () => {
  const coordinates = new Coordinates(seededRandom(1))
  const far = { ...ORIGIN, height: Number.MAX_VALUE, adjustment: Number.MAX_VALUE }
  for (let i = 0; i < 50; i++) coordinates.observe('a', far, 0.1)
  expect(coordinates.resets).toBeGreaterThan(0)
  expect(isSound(coordinates.own)).toBe(true)
})

test('whatever a peer says, our coordinate stays sound and its payload can be read again', () => {
  const real = fc.double()
  const any = fc.record({
    vec: fc.array(real, { minLength: 7, maxLength: 9 }),
    error: real,
    adjustment: real,
    height: real,
  })
  const property = (seen: [Coordinate, number][]) => {
    const coordinates = new Coordinates(seededRandom(1))
    for (const [other, rttS] of seen) coordinates.observe('a', other, rttS)
    expect(isSound(coordinates.own)).toBe(true)
    expect(decodePingPayload(encodePingPayload(coordinates.own))).toEqual(coordinates.own)
  }
  fc.assert(fc.property(fc.array(fc.tuple(any, fc.double({ min: 0, max: 10 })), { maxLength: 8 }), property), {
    numRuns: 50,
  })
})

test('any payload decodes or fails with CodecError', () => {
  const property = (bytes: Uint8Array) => {
    try {
      flat(decodePingPayload(Uint8Array.of(1, ...bytes)))
    } catch (failure) {
      expect(failure).toBeInstanceOf(CodecError)
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 140 }), property))
  expect(() => decodePingPayload(Uint8Array.of(2, 0x80))).toThrow(CodecError)
  expect(() => decodePingPayload(new Uint8Array(0))).toThrow(CodecError)
  expect(coordinateRecord(ORIGIN)['Vec']).toHaveLength(8)
})
