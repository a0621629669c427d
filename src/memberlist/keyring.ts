import { timingSafeEqual } from 'node:crypto'
import { MusterError } from '../base/index.ts'

/** A change the ring refuses; it is as it was. */
export class KeyringError extends MusterError {
  readonly code = 'MEMBERLIST_KEYRING'
}

/**
 * The cluster's AES keys. Encryption uses the first (the primary) only; decryption tries all in order, so that keys can be
 * rotated while old and new packets mix. An empty ring means that encryption is off.
 */
export class Keyring {
  #keys: readonly Uint8Array[] = []
  #retired: readonly Uint8Array[] = []

  /** @throws KeyringError unless each key has 16, 24 or 32 bytes. Doubles are dropped. */
  constructor(keys: readonly Uint8Array[]) {
    for (const key of keys) this.install(key)
  }

  get primary(): Uint8Array | undefined {
    return this.#keys[0]
  }

  /** Primary first. */
  get keys(): readonly Uint8Array[] {
    return this.#keys
  }

  /**
   * Removed, but still read, so that a member that was away while keys were changed can be given the present ones. They seal
   * nothing but what is told to such a member, and are not listed. Oldest first.
   */
  get retired(): readonly Uint8Array[] {
    return this.#retired
  }

  has(key: Uint8Array): boolean {
    return this.#indexOf(key) >= 0
  }

  /** Adds at the end; a key that is there already stays where it is. */
  install(key: Uint8Array): void {
    if (!KEY_LENGTHS.includes(key.length)) throw new KeyringError('key size must be 16, 24 or 32 bytes')
    if (!this.has(key)) this.#keys = [...this.#keys, new Uint8Array(key)]
    this.forget(key)
  }

  /** Makes an installed key the primary. */
  use(key: Uint8Array): void {
    const index = this.#indexOf(key)
    const chosen = this.#keys[index]
    if (chosen === undefined) throw new KeyringError('Requested key is not in the keyring')
    this.#keys = [chosen, ...this.#keys.filter(other => other !== chosen)]
  }

  /** Forgets a key; one that is not there is no error, the primary is. */
  remove(key: Uint8Array): void {
    const index = this.#indexOf(key)
    if (index === 0) throw new KeyringError('Removing the primary key is not allowed')
    this.#keys = this.#keys.filter((_, at) => at !== index)
  }

  /** Takes a key out of use but goes on reading it; the oldest gives way where there are too many. The primary stays in use. */
  retire(key: Uint8Array): void {
    this.remove(key)
    this.forget(key)
    this.#retired = [...this.#retired, new Uint8Array(key)].slice(-RETIRED_MAX)
  }

  /** Ends a key's retirement: from now on it is unknown. */
  forget(key: Uint8Array): void {
    this.#retired = this.#retired.filter(other => !same(other, key))
  }

  #indexOf(key: Uint8Array): number {
    return this.#keys.findIndex(other => same(other, key))
  }
}

const KEY_LENGTHS = [16, 24, 32]
/** Each is tried on whatever cannot be read otherwise. */
const RETIRED_MAX = 8

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
