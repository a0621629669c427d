import { messageOf } from '../base/index.ts'
import { CodecError } from '../codec/index.ts'
import { decodeBase64 } from './base64.ts'
import type { QueryAnswer } from './effects.ts'
import type { KeyQuery } from './keys.ts'
import { decodeSerfMessage, encodeSerfMessage, type KeyResponse } from './messages.ts'
import type { QueryParams } from './queries.ts'

export type KeyOperation = 'install' | 'use' | 'remove' | 'list'

/** What the ring said to a key query: Serf's key record, and its error in Serf's words. */
export interface KeyAnswers {
  /** '' when every member reported success. */
  readonly error: string
  /** For each key in base64, how many members hold it; undefined except for `list`. */
  readonly keys: ReadonlyMap<string, number> | undefined
  /** For each key, of how many members it is the primary (agents since 0.9.4 tell). */
  readonly primaryKeys: ReadonlyMap<string, number>
  /** Member to its error or remark. */
  readonly messages: ReadonlyMap<string, string>
  readonly errors: number
  /** Members that could have answered. */
  readonly members: number
  readonly answers: number
}

/** What it takes to ask: a running agent. */
export interface KeyAsker {
  query(params: QueryParams): Promise<AsyncIterable<QueryAnswer>>
  /** Alive and suspect ones, this node included. */
  memberCount(): number
}

/**
 * The asking side of key rotation, as Serf 0.10 does it. Changes run one after the other, so that an install and a use that two
 * people ask for at once do not mix. Ends when all have answered, or at the query's deadline. Never rejects.
 */
export class KeyRequests {
  readonly #asker: KeyAsker
  #last: Promise<unknown> = Promise.resolve()

  constructor(asker: KeyAsker) {
    this.#asker = asker
  }

  /** @param key base64; not for `list` */
  ask(operation: KeyOperation, key = ''): Promise<KeyAnswers> {
    if (operation === 'list') return this.#ask(operation, key)
    const asked = this.#last.then(() => this.#ask(operation, key))
    this.#last = asked
    return asked
  }

  async #ask(operation: KeyOperation, key: string): Promise<KeyAnswers> {
    const tally = new KeyTally(operation)
    try {
      const payload = encodeSerfMessage({ type: 'keyRequest', key: decodeBase64(key) })
      const answers = await this.#asker.query({ name: QUERY_OF[operation], payload })
      tally.members = this.#asker.memberCount()
      for await (const answer of answers) {
        if (answer.kind === 'response') tally.count(answer.from, answer.payload)
        if (tally.answers === tally.members) break
      }
      return tally.result()
    } catch (failure) {
      return { ...tally.result(), error: messageOf(failure) }
    }
  }
}

const QUERY_OF: Readonly<Record<KeyOperation, KeyQuery>> = {
  install: '_serf_install-key',
  use: '_serf_use-key',
  remove: '_serf_remove-key',
  list: '_serf_list-keys',
}

/** Sums up the answers. */
class KeyTally {
  readonly #isList: boolean
  readonly #keys = new Map<string, number>()
  readonly #primaryKeys = new Map<string, number>()
  readonly #messages = new Map<string, string>()
  #errors = 0
  members = 0
  answers = 0

  constructor(operation: KeyOperation) {
    this.#isList = operation === 'list'
  }

  count(from: string, payload: Uint8Array): void {
    this.answers++
    const response = readResponse(payload)
    if (typeof response === 'string') return this.#failed(from, response)
    if (!response.result) this.#failed(from, response.message)
    else if (response.message !== '') this.#messages.set(from, response.message)
    for (const key of response.keys ?? []) this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1)
    const { primaryKey } = response
    if (primaryKey !== '') this.#primaryKeys.set(primaryKey, (this.#primaryKeys.get(primaryKey) ?? 0) + 1)
  }

  result(): KeyAnswers {
    return {
      error: this.#error(),
      keys: this.#isList ? this.#keys : undefined,
      primaryKeys: this.#primaryKeys,
      messages: this.#messages,
      errors: this.#errors,
      members: this.members,
      answers: this.answers,
    }
  }

  #error(): string {
    if (this.#errors > 0) return `${this.#errors}/${this.members} nodes reported failure`
    return this.answers === this.members ? '' : `${this.answers}/${this.members} nodes reported success`
  }

  #failed(from: string, message: string): void {
    this.#errors++
    this.#messages.set(from, message)
  }
}

/** The response, or what is wrong with it, in Serf's words. */
function readResponse(payload: Uint8Array): KeyResponse | string {
  const shown = `[${Array.from(payload).join(' ')}]`
  if (payload[0] !== KEY_RESPONSE) return `Invalid key query response type: ${shown}`
  try {
    return decodeSerfMessage(payload) as KeyResponse
  } catch (failure) {
    if (failure instanceof CodecError) return `Failed to decode key query response: ${shown}`
    throw failure
  }
}

const KEY_RESPONSE = 8
