import { type Address, type Clock, formatAddress, type Log, type Timer } from '../../base/index.ts'
import type { Keyring } from '../../memberlist/index.ts'
import type { KeyQuery } from '../keys.ts'
import { encodeSerfMessage } from '../messages.ts'

/** A member that has been given the keys and still speaks with the old one has lost a packet: it is given them again. */
const AGAIN_MS = 1_000
/** Serf handles key queries side by side: each has to be done before the next arrives. */
const STEP_MS = 150
/** Addresses that are remembered; whoever has a retired key and many addresses is not served at more of them at once. */
const SENDERS_MAX = 64
const TOLD_AGAIN_MS = 10 * 60_000

interface Ring {
  readonly keyring: Keyring | undefined
  /** Under a retired key, to one member alone. */
  send(key: Uint8Array, to: Address, query: KeyQuery, payload: Uint8Array): void
}

/**
 * Hands the present keys to members that speak with a retired one: Serf's own key queries, sealed with the key that they have,
 * to nobody else. So a Serf agent that was away is healed as well.
 */
export class StaleMembers {
  readonly #ring: Ring
  readonly #deps: { readonly clock: Clock; readonly log: Log }
  readonly #served = new Map<string, { atMs: number; toldAtMs: number }>()
  readonly #steps = new Set<Timer>()

  constructor(ring: Ring, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#ring = ring
    this.#deps = deps
  }

  /** A packet came that only a retired key could open. */
  heard(from: Address, key: Uint8Array): void {
    const nowMs = this.#deps.clock.nowMs()
    const at = formatAddress(from)
    const known = this.#served.get(at)
    if (known !== undefined && nowMs - known.atMs < AGAIN_MS) return
    if (known === undefined && !this.#hasRoom(nowMs)) return
    const isNews = known === undefined || nowMs - known.toldAtMs >= TOLD_AGAIN_MS
    this.#served.set(at, { atMs: nowMs, toldAtMs: isNews ? nowMs : known.toldAtMs })
    if (isNews)
      this.#deps.log.warn({ from: at }, 'a member speaks with a key that was removed; giving it the present keys')
    this.#give(from, new Uint8Array(key))
  }

  close(): void {
    for (const step of this.#steps) step.cancel()
  }

  /** All present keys, then which one is primary, then that the old one is to go. */
  #give(to: Address, old: Uint8Array): void {
    const { keyring } = this.#ring
    const primary = keyring?.primary
    if (keyring === undefined || primary === undefined) return
    const send = (query: KeyQuery, key: Uint8Array) =>
      this.#ring.send(old, to, query, encodeSerfMessage({ type: 'keyRequest', key }))
    for (const key of keyring.keys) send('_serf_install-key', key)
    this.#after(STEP_MS, () => send('_serf_use-key', primary))
    this.#after(2 * STEP_MS, () => send('_serf_remove-key', old))
  }

  #after(delayMs: number, act: () => void): void {
    const step = this.#deps.clock.after(delayMs, () => {
      this.#steps.delete(step)
      act()
    })
    this.#steps.add(step)
  }

  #hasRoom(nowMs: number): boolean {
    if (this.#served.size < SENDERS_MAX) return true
    for (const [at, { atMs }] of this.#served) if (nowMs - atMs > TOLD_AGAIN_MS) this.#served.delete(at)
    return this.#served.size < SENDERS_MAX
  }
}
