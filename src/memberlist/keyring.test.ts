import { expect, test } from 'vitest'
import { seededRandom } from '../base/index.ts'
import { Keyring, KeyringError } from './keyring.ts'
import { MessageType } from './messages.ts'
import { openPacket, sealPacket } from './wire/packet.ts'
import { sealStream, StreamReader } from './wire/stream.ts'
import { encodeStreamMessage } from './wire/encode.ts'

const A = new Uint8Array(16).fill(1)
const B = new Uint8Array(24).fill(2)
const C = new Uint8Array(32).fill(3)

test('keys rotate by install, use, remove; the first is the primary', () => {
  const ring = new Keyring([A])
  ring.install(B)
  ring.install(B)
  expect(ring.keys).toEqual([A, B])
  ring.use(B)
  ring.remove(A)
  expect([ring.primary, ring.keys]).toEqual([B, [B]])
})

test('removing a key that is not there changes nothing', () => {
  const ring = new Keyring([A])
  ring.remove(C)
  expect(ring.keys).toEqual([A])
})

test('the primary stays, an absent key cannot lead, and odd sizes are refused', () => {
  const ring = new Keyring([A, B])
  expect(() => ring.remove(A)).toThrow('Removing the primary key is not allowed')
  expect(() => ring.use(C)).toThrow('Requested key is not in the keyring')
  expect(() => ring.install(new Uint8Array(20))).toThrow(KeyringError)
  expect(ring.keys).toEqual([A, B])
})

test('a ring keeps its own copy of a key', () => {
  const key = new Uint8Array(16)
  const ring = new Keyring([key])
  key.fill(9)
  expect(ring.primary).toEqual(new Uint8Array(16))
})

test('a retired key is not listed, seals nothing, and still opens packets and streams; whoever needs it is told which', () => {
  const [old, present] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)]
  const [stale, ring] = [new Keyring([old]), new Keyring([present, old])]
  ring.retire(old)
  expect([ring.keys, ring.retired, ring.has(old)]).toEqual([[present], [old], false])
  const random = seededRandom(1)
  const seal = { crc: false, compress: false, random }
  const part = Buffer.of(MessageType.user, 1, 2, 3)
  const told: Uint8Array[] = []
  const open = { keyring: ring, onRetired: (key: Uint8Array) => void told.push(key) }
  const [packet] = sealPacket([part], { ...seal, keyring: stale })
  expect([openPacket(packet as Uint8Array, open), told]).toEqual([[part], [old]])

  const message = encodeStreamMessage({ type: 'err', error: 'hello' })
  const stream = sealStream(message, { ...seal, sendLabel: true, keyring: stale })
  expect(new StreamReader({ ...open, expectLabel: true }).push(stream)).toEqual({ type: 'err', error: 'hello' })
  expect(told).toEqual([old, old])

  const [usual] = sealPacket([part], { ...seal, keyring: ring })
  expect(() => openPacket(usual as Uint8Array, { keyring: stale })).toThrow('No installed keys could decrypt')
  const [answer] = sealPacket([part], { ...seal, keyring: ring, key: old })
  expect(openPacket(answer as Uint8Array, { keyring: stale })).toEqual([part])

  ring.forget(old)
  expect(() => openPacket(packet as Uint8Array, open)).toThrow('No installed keys could decrypt')
})

test('a retired key that is installed again is in use again, the primary cannot be retired, and the oldest of nine is gone', () => {
  const key = (n: number) => new Uint8Array(16).fill(n)
  const ring = new Keyring(Array.from({ length: 10 }, (_, n) => key(n)))
  expect(() => ring.retire(key(0))).toThrow('Removing the primary key is not allowed')
  for (let n = 1; n < 10; n++) ring.retire(key(n))
  expect(ring.retired).toEqual(Array.from({ length: 8 }, (_, n) => key(n + 2)))
  ring.install(key(5))
  expect([ring.keys, ring.retired.length]).toEqual([[key(0), key(5)], 7])
})
