import { type Address, type Clock, formatAddress, type Log, type Timer } from '../../base/index.ts'
import type { Keyring } from '../../memberlist/index.ts'
import type { KeyQuery } from '../keys.ts'
import { encodeSerfMessage } from '../messages.ts'

/** A member that has been given the keys and still speaks with the old one has lost a packet: it is given them again, twice as long after. */
const AGAIN_MS = 1_000
const AGAIN_MS_MAX = 60_000
/** Serf handles key queries side by side: each has to be done before the next arrives. */
const STEP_MS = 150
/** Addresses that are remembered; whoever has a retired key and many addresses is not served at more of them at once. */
const SENDERS_MAX = 64
const TOLD_AGAIN_MS = 10 * 60_000

interface Ring {
  readonly keyring: Keyring | undefined
  /** None as long as there is nobody who could ask. */
  encode(queries: readonly { readonly name: KeyQuery; readonly payload: Uint8Array }[]): Uint8Array[]
  /** Under a retired key, to one member alone. */
  send(key: Uint8Array, to: Address, body: Uint8Array): void
}

interface Served {
  readonly atMs: number
  readonly toldAtMs: number
  /** Until it is served again. */
  readonly pauseMs: number
}

/**
 * Hands the present keys to members that speak with a retired one: Serf's own key queries, sealed with the key that they have,
 * to nobody else. So a Serf agent that was away is healed as well.
 */
export class StaleMembers {
  readonly #ring: Ring
  readonly #deps: { readonly clock: Clock; readonly log: Log }
  readonly #served = new Map<string, Served>()
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
    if (known !== undefined && nowMs - known.atMs < known.pauseMs) return
    if (known === undefined && !this.#hasRoom(nowMs)) return
    const isNews = known === undefined || nowMs - known.toldAtMs >= TOLD_AGAIN_MS
    const pauseMs = isNews ? AGAIN_MS : Math.min(2 * known.pauseMs, AGAIN_MS_MAX)
    this.#served.set(at, { atMs: nowMs, toldAtMs: isNews ? nowMs : known.toldAtMs, pauseMs })
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
    const query = (name: KeyQuery, key: Uint8Array) => ({
      name,
      payload: encodeSerfMessage({ type: 'keyRequest', key }),
    })
    const installs = keyring.keys.map(key => query('_serf_install-key', key))
    const bodies = this.#ring.encode([...installs, query('_serf_use-key', primary), query('_serf_remove-key', old)])
    for (const [nth, body] of bodies.entries()) {
      const stepsBefore = Math.max(0, nth - installs.length + 1) // all installs at once
      if (stepsBefore === 0) this.#ring.send(old, to, body)
      else this.#after(stepsBefore * STEP_MS, () => this.#ring.send(old, to, body))
    }
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
