import { lstat, mkdir, open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { INDEX_MAX, LINE_BYTES_MAX } from '../line.ts'

const NAME = /^(\d{16})\.journal$/
const CHUNK_BYTES = 256 * 1024
const NEWLINE = 0x0a

/** A file of the journal: the records from `first` up to the next file's. */
export interface Segment {
  readonly path: string
  readonly first: number
  bytes: number
  /** The times in it; infinite where they are not known. */
  minAt: number
  maxAt: number
}

export function newSegment(directory: string, first: number): Segment {
  const path = join(directory, `${String(first).padStart(16, '0')}.journal`)
  return { path, first, bytes: 0, minAt: Number.POSITIVE_INFINITY, maxAt: Number.NEGATIVE_INFINITY }
}

/** In order. What else is in the directory is nobody's business. @throws the system's error */
export async function listSegments(directory: string): Promise<Segment[]> {
  const segments: Segment[] = []
  for (const name of (await readdir(directory)).sort()) {
    const first = Number(NAME.exec(name)?.[1] ?? Number.NaN)
    if (!(first <= INDEX_MAX)) continue
    const path = join(directory, name)
    const found = await lstat(path)
    if (!found.isFile()) continue
    const unknown = { minAt: Number.NEGATIVE_INFINITY, maxAt: Number.POSITIVE_INFINITY }
    segments.push({ path, first, bytes: found.size, ...unknown })
  }
  return segments
}

export interface Line {
  /** Without the newline; empty for one that is too long to be a record. */
  readonly bytes: Buffer
  /** Where the next line begins in the file. */
  readonly end: number
  /** The file ends in the middle of it. */
  readonly isTorn: boolean
}

/** The lines of a file, a handful at a time: no more than that is in memory. @throws the system's error */
export async function* linesIn(path: string): AsyncGenerator<Line[]> {
  const file = await open(path, 'r')
  try {
    let rest: Buffer = Buffer.alloc(0)
    let restAt = 0
    let isTooLong = false
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES)
      if (bytesRead === 0) break
      const chunk = Buffer.concat([rest, buffer.subarray(0, bytesRead)])
      const lines: Line[] = []
      let start = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        const bytes = isTooLong ? chunk.subarray(0, 0) : chunk.subarray(start, end)
        lines.push({ bytes, end: restAt + end + 1, isTorn: false })
        isTooLong = false
        start = end + 1
      }
      isTooLong ||= chunk.length - start > LINE_BYTES_MAX
      rest = isTooLong ? chunk.subarray(0, 0) : chunk.subarray(start)
      restAt += isTooLong ? chunk.length : start
      yield lines
    }
    if (rest.length > 0 || isTooLong) yield [{ bytes: rest, end: restAt + rest.length, isTorn: true }]
  } finally {
    await file.close()
  }
}

/** With its parents. Node's own `recursive` never ends where the system refuses with ENOENT, as below /proc. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (failure) {
    if (hasCode(failure, 'EEXIST')) return
    if (!hasCode(failure, 'ENOENT') || dirname(path) === path) throw failure
    await makeDirectory(dirname(path))
    await mkdir(path, { mode: 0o700 })
  }
}

/** So that a new file is there after a power cut, too. @throws the system's error */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export function hasCode(failure: unknown, code: string): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === code
}
