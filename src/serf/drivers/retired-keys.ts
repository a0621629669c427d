import { readFile, rm } from 'node:fs/promises'
import { type Clock, type Log, messageOf, type Timer, writeFileAtomic } from '../../base/index.ts'
import type { Keyring } from '../../memberlist/index.ts'
import { secretJson } from './keyring-file.ts'

/** How often the wall clock is looked at: a suspended machine's other clock stands still. */
const LOOK_MS = 60_000
const SUFFIX = '.retired'
/** Eight keys of 100 bytes, generously. */
const FILE_CHARS_MAX = 16_384

interface Entry {
  readonly key: Uint8Array
  /** By the wall clock, since it outlives the process. */
  readonly untilWallMs: number
}

/**
 * Keys that were removed less than the grace time ago (docs/decisions/0009-key-grace.md). They are kept beside the keyring file,
 * with their ends, so that a restart neither forgets nor prolongs them.
 */
export class RetiredKeys {
  readonly #keyring: Keyring
  readonly #path: string | undefined
  readonly #graceMs: number
  readonly #deps: { readonly clock: Clock; readonly log: Log }
  #entries: readonly Entry[] = []
  #look: Timer | undefined
  /** One file, one writer. */
  #written: Promise<void> = Promise.resolve()
  #closed = false

  /** @param keyringPath where the keys are; undefined: nothing is kept over a restart */
  constructor(
    keyring: Keyring,
    keyringPath: string | undefined,
    graceMs: number,
    deps: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#keyring = keyring
    this.#path = keyringPath === undefined ? undefined : `${keyringPath}${SUFFIX}`
    this.#graceMs = graceMs
    this.#deps = deps
  }

  /** Takes up what an earlier agent has left. A file that cannot be read is said, and the keys in it are gone. Never throws. */
  async open(): Promise<void> {
    for (const { key, untilWallMs } of await this.#read()) {
      if (this.#keyring.has(key)) continue
      this.#keyring.retire(key)
      this.#entries = [...this.#entries, { key, untilWallMs }]
    }
    await this.#keep()
  }

  /** The ring has changed: what it has retired now gets its end, what it has taken up again is no longer retired. */
  async changed(): Promise<void> {
    const untilWallMs = this.#deps.clock.wallMs() + this.#graceMs
    const before = this.#entries
    this.#entries = this.#keyring.retired.map(key => before.find(one => same(one.key, key)) ?? { key, untilWallMs })
    if (this.#entries.some(one => !before.includes(one)))
      this.#deps.log.info(
        { until: new Date(untilWallMs).toISOString() },
        'a removed key lets members in that were away',
      )
    await this.#keep()
  }

  close(): void {
    this.#closed = true
    this.#look?.cancel()
  }

  async #read(): Promise<Entry[]> {
    if (this.#path === undefined) return []
    try {
      const text = await readFile(this.#path, 'utf8')
      if (text.length > FILE_CHARS_MAX) throw new RangeError(`it has more than ${FILE_CHARS_MAX} characters`)
      const list = secretJson(text)
      if (!Array.isArray(list)) throw new TypeError('it is no list')
      return list.map(entryOf)
    } catch (failure) {
      const isAbsent = failure instanceof Error && 'code' in failure && failure.code === 'ENOENT'
      const sentence = 'cannot use the retired keys; who has missed a rotation does not come back by itself'
      if (!isAbsent) this.#deps.log.warn({ path: this.#path, reason: messageOf(failure) }, sentence)
      return []
    }
  }

  /** Drops what has had its time, and writes the rest down. */
  async #keep(): Promise<void> {
    if (this.#closed) return
    this.#expire()
    this.#arm()
    const path = this.#path
    if (path === undefined) return
    this.#written = this.#written.then(() => this.#write(path))
    await this.#written
  }

  async #write(path: string): Promise<void> {
    const list = this.#entries.map(({ key, untilWallMs }) => ({
      key: Buffer.from(key).toString('base64'),
      until: new Date(untilWallMs).toISOString(),
    }))
    try {
      if (list.length === 0) await rm(path, { force: true })
      else await writeFileAtomic(path, JSON.stringify(list, undefined, 2), 0o600)
    } catch (failure) {
      this.#deps.log.error({ path, reason: messageOf(failure) }, 'could not write down the retired keys')
    }
  }

  #expire(): void {
    const nowMs = this.#deps.clock.wallMs()
    const latestMs = nowMs + this.#graceMs // a wall clock that was set back does not prolong beyond this
    for (const { key, untilWallMs } of this.#entries) if (untilWallMs <= nowMs) this.#keyring.forget(key)
    this.#entries = this.#entries
      .filter(one => one.untilWallMs > nowMs)
      .map(({ key, untilWallMs }) => ({ key, untilWallMs: Math.min(untilWallMs, latestMs) }))
  }

  #arm(): void {
    this.#look?.cancel()
    if (this.#entries.length === 0) return
    const dueMs = Math.min(...this.#entries.map(one => one.untilWallMs)) - this.#deps.clock.wallMs()
    this.#look = this.#deps.clock.after(Math.min(LOOK_MS, Math.max(1, dueMs)), () => {
      const before = this.#entries.length
      this.#expire()
      if (this.#entries.length === before) return this.#arm()
      this.#deps.log.info({ left: this.#entries.length }, 'the grace time of a removed key is over')
      void this.#keep()
    })
  }
}

/** There is no grace time any more: what an earlier agent has kept ends now. Never throws. */
export async function forgetRetired(keyringPath: string, log: Log): Promise<void> {
  try {
    await rm(`${keyringPath}${SUFFIX}`, { force: true })
  } catch (failure) {
    log.warn(
      { path: `${keyringPath}${SUFFIX}`, reason: messageOf(failure) },
      'cannot remove the retired keys; they are not used',
    )
  }
}

function entryOf(value: unknown): Entry {
  const { key, until } = (value ?? {}) as { key?: unknown; until?: unknown }
  const untilWallMs = typeof until === 'string' ? Date.parse(until) : Number.NaN
  if (typeof key !== 'string' || !Number.isFinite(untilWallMs)) throw new TypeError('an entry has no key or no end')
  const bytes = new Uint8Array(Buffer.from(key, 'base64'))
  if (![16, 24, 32].includes(bytes.length)) throw new TypeError('a key has not 16, 24 or 32 bytes')
  return { key: bytes, untilWallMs }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
