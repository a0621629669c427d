import { readFileSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import type { Serves } from '../spec.ts'
import { type Log, messageOf, type ProcessIdentity, writeFileAtomic } from '../../base/index.ts'

/** What the next agent must know to adopt a running service. */
export interface ServiceRecord extends ProcessIdentity {
  readonly version: 1
  readonly specHash: string
  /** It was ready once: slow answers later are no reason to kill it. */
  readonly ready: boolean
  /** How to end it when it is in the configuration no more. */
  readonly stopSignal: NodeJS.Signals
  readonly stopTimeoutMs: number
  /** Null: no endpoint; undefined: whoever wrote this did not say. */
  readonly serves?: Serves | null
}

/** One record's file. Writes follow one another, the latest wins. */
export class RecordFile {
  readonly #path: string
  readonly #log: Log
  #saving: Promise<void> = Promise.resolve()
  #wanted: ServiceRecord | undefined

  constructor(path: string, log: Log) {
    this.#path = path
    this.#log = log
  }

  /** Undefined when there is none, or none that can be understood: then its process is found by its lock. */
  read(): ServiceRecord | undefined {
    try {
      return parseRecord(readFileSync(this.#path, 'utf8'))
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.warn({ path: this.#path, error: messageOf(failure) }, 'record of a service cannot be read')
      return undefined
    }
  }

  /** Undefined removes. A failure (a full disk, say) is logged: the service runs on, adoption falls back to the lock. */
  save(record: ServiceRecord | undefined): void {
    if (JSON.stringify(record) === JSON.stringify(this.#wanted)) return
    this.#wanted = record
    this.#saving = this.#saving.then(() => this.#write(record))
  }

  /** Resolves when everything handed in has reached the disk, or failed to. */
  saved(): Promise<void> {
    return this.#saving
  }

  async #write(record: ServiceRecord | undefined): Promise<void> {
    if (record !== this.#wanted) return // overtaken
    try {
      if (record === undefined) rmSync(this.#path, { force: true })
      else await writeFileAtomic(this.#path, JSON.stringify(record))
    } catch (failure) {
      this.#log.warn({ path: this.#path, error: messageOf(failure) }, 'record of a service cannot be written')
    }
  }
}

/** Undefined for anything that is not a record of this version. */
export function parseRecord(text: string): ServiceRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // cut short by a power failure, or somebody else's file
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { version, pid, startTime, bootId, specHash, ready, stopSignal, stopTimeoutMs, serves } = value as Record<
    string,
    unknown
  >
  if (version !== 1 || typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 2) return undefined
  if (typeof startTime !== 'string' || typeof bootId !== 'string' || typeof specHash !== 'string') return undefined
  if (!isSignal(stopSignal) || typeof stopTimeoutMs !== 'number' || !(stopTimeoutMs >= 0)) return undefined
  const record = {
    version,
    pid,
    startTime,
    bootId,
    specHash,
    ready: ready === true,
    stopSignal,
    stopTimeoutMs,
  } as const
  const endpoint = servesOf(serves)
  return endpoint === undefined ? record : { ...record, serves: endpoint }
}

function servesOf(value: unknown): Serves | null | undefined {
  if (value === null) return null
  const { pool, port, weight } = (value ?? {}) as Partial<Record<string, unknown>>
  if (typeof pool !== 'string' || typeof port !== 'number' || typeof weight !== 'number') return undefined
  return { pool, port, weight }
}

function isSignal(name: unknown): name is NodeJS.Signals {
  return typeof name === 'string' && Object.hasOwn(constants.signals, name)
}
