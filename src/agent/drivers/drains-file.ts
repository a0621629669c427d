import { open } from 'node:fs/promises'
import { writeFileAtomic } from '../../base/index.ts'
import {
  decodeRecord,
  type DrainRecord,
  encodeRecord,
  RECORDS_MAX,
  RECORD_BYTES_MAX,
} from '../endpoints/drain-records.ts'

/** As large as the largest book; what is more is not ours. */
const FILE_BYTES_MAX = RECORDS_MAX * (RECORD_BYTES_MAX + 64)

/** Where a balancer keeps what is drained, over its own restarts. */
export class DrainsFile {
  readonly #path: string
  /** One write after the other: each goes through the same temporary file. */
  #last: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.#path = path
  }

  /**
   * What was kept; nothing when there is no file.
   * @returns how many records could not be read, too
   * @throws the system's error, or a SyntaxError: nothing of it can be read
   */
  async read(): Promise<{ readonly records: readonly DrainRecord[]; readonly unreadable: number }> {
    const text = await textOf(this.#path)
    if (text === undefined) return { records: [], unreadable: 0 }
    const values: unknown = JSON.parse(text)
    if (!Array.isArray(values)) throw new SyntaxError('it is not a list')
    const records = values.slice(0, RECORDS_MAX).map(decodeRecord)
    const sound = records.filter(record => record !== undefined)
    return { records: sound, unreadable: values.length - sound.length }
  }

  /** @throws the system's error; the file is as before */
  keep(records: readonly DrainRecord[]): Promise<void> {
    const text = `[\n${records.map(record => JSON.stringify(encodeRecord(record))).join(',\n')}\n]\n`
    const written = this.#last.then(() => writeFileAtomic(this.#path, text))
    this.#last = written.catch(() => undefined) // whoever asked for it is told
    return written
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
      if (bytesRead > FILE_BYTES_MAX) throw new SyntaxError('it is too long')
      return buffer.toString('utf8', 0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw failure
  }
}
