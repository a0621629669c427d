import { expect, test } from 'vitest'
import { Keyring, KeyringError } from './keyring.ts'

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
