import type { LTime } from './lamport.ts'

interface Intent {
  readonly kind: 'join' | 'leave'
  readonly ltime: LTime
  readonly atMs: number
}

/** Names are free for anybody to invent; the oldest is forgotten first. */
const INTENTS_MAX = 8192

/** Intents about members that are not known yet: gossip may bring the intent before the member. */
export class IntentBuffer {
  readonly #intents = new Map<string, Intent>()

  get(node: string): Intent | undefined {
    return this.#intents.get(node)
  }

  /** @returns whether the buffer changed: only a strictly newer intent replaces one, whatever their kinds */
  add(node: string, kind: 'join' | 'leave', ltime: LTime, nowMs: number): boolean {
    const known = this.#intents.get(node)
    if (known !== undefined && ltime <= known.ltime) return false
    this.#intents.delete(node)
    const oldest = this.#intents.size >= INTENTS_MAX ? this.#intents.keys().next().value : undefined
    if (oldest !== undefined) this.#intents.delete(oldest)
    this.#intents.set(node, { kind, ltime, atMs: nowMs })
    return true
  }

  expire(olderThanMs: number): void {
    for (const [node, intent] of this.#intents) if (intent.atMs < olderThanMs) this.#intents.delete(node)
  }
}
