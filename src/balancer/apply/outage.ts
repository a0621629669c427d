import { type Clock, type Log, messageOf } from '../../base/index.ts'
import type { HaproxyControl } from '../drivers/haproxy-control.ts'
import { ConfigRefusedError, RuntimeSocketError } from '../errors.ts'

/** Each look at the file runs `haproxy -c`, 30 ms. */
const LOOK_SPACING_MS = 2_000

/** Nobody listens on HAProxy's sockets: it does not run, and the supervisor starts it with the file that is on the disk. */
export function isNotRunning(failure: unknown): boolean {
  if (!(failure instanceof RuntimeSocketError)) return false
  const code = (failure.cause as NodeJS.ErrnoException | undefined)?.code
  return code === 'ECONNREFUSED' || code === 'ENOENT'
}

/**
 * Sees to it that an HAProxy that does not run finds a file that it takes. A file that is as it was written is left alone for as long
 * as HAProxy may just be starting; so is one of somebody else's that HAProxy takes: it is put right when HAProxy runs.
 */
export class Outage {
  readonly #control: HaproxyControl
  readonly #clock: Clock
  readonly #log: Log
  #nextLookAtMs = Number.NEGATIVE_INFINITY
  #words: string | undefined
  /** The last file that we wrote. */
  #written: string | undefined

  constructor(control: HaproxyControl, clock: Clock, log: Log) {
    this.#control = control
    this.#clock = clock
    this.#log = log
  }

  /** HAProxy runs. */
  over(): void {
    this.#nextLookAtMs = Number.NEGATIVE_INFINITY
    this.#words = undefined
    this.#written = undefined
  }

  /**
   * @param isLong longer than a start takes
   * @param wanted the file for what has been decided so far
   * @returns HAProxy's words, or the template's, where there is no file that it would take; undefined: a start may come off
   */
  async tend(isLong: boolean, wanted: () => string): Promise<string | undefined> {
    const edited = await this.#control.editedFile()
    const nowMs = this.#clock.nowMs()
    if ((edited === undefined && !isLong) || nowMs < this.#nextLookAtMs) return this.#words
    this.#nextLookAtMs = nowMs + LOOK_SPACING_MS
    const written = (this.#written = this.#control.fileText ?? this.#written)
    const refusal = await this.#refusalOf(edited ?? this.#control.fileText)
    this.#words = refusal
    if (refusal === undefined && (edited === undefined || !isLong)) return undefined
    if (edited !== undefined) await this.#control.setAside(edited)
    this.#words = await this.#putBack([...(edited === undefined ? [] : [() => written]), wanted], refusal)
    return this.#words
  }

  /** The first of these that HAProxy takes. @returns why none is taken */
  async #putBack(
    candidates: readonly (() => string | undefined)[],
    refusal: string | undefined,
  ): Promise<string | undefined> {
    let words = refusal
    for (const candidate of candidates) {
      try {
        const text = candidate()
        if (text === undefined) continue
        await this.#control.install(text)
        this.#log.error(
          { refused: refusal },
          'HAProxy does not run, and would not have started: its file is written anew',
        )
        return undefined
      } catch (failure) {
        words = wordsOf(failure)
      }
    }
    return words
  }

  async #refusalOf(text: string | undefined): Promise<string | undefined> {
    return text === undefined ? 'there is no file for it' : this.#control.refusalOf(text)
  }
}

function wordsOf(failure: unknown): string {
  return failure instanceof ConfigRefusedError ? failure.words : messageOf(failure)
}
