import { readFile, stat } from 'node:fs/promises'
import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { MusterError, messageOf } from '../../base/index.ts'

/** What servers have written down. */
export interface CollectedIds {
  /** Each as often as it was executed. */
  readonly ids: readonly string[]
  /** False: a ledger could not be read, or is full, so that what stands in none may have run all the same. */
  readonly isWhole: boolean
  /** What speaks against a proof, in sentences. */
  readonly objections: readonly string[]
  readonly notes: readonly string[]
}

/** A ledger as it was found. */
interface Found {
  readonly source: string
  readonly lines: string
  readonly isFull: boolean
  /** Which ledger it is, whatever it is called; undefined: its server does not say. */
  readonly identity: string | undefined
}

/** A server's ledger could not be read; what was collected from others still holds. */
export class LedgerUnreadableError extends MusterError {
  readonly code = 'PROVE_LEDGER'
}

/** More than the library writes. */
const LEDGER_BYTES_MAX = 80 * 1024 * 1024
const ANSWER_MS_MAX = 10_000
const FULL = '# full'
/** In which an address says which ledger it answers with; the library's. */
const IDENTITY_HEADER = 'x-muster-ledger'

/**
 * The ids that servers have executed. A ledger that is named twice, by its file and by its address, say, counts once.
 * @param sources files, and addresses of servers' `/.muster/ledger`
 */
export async function collectExecuted(
  sources: readonly string[],
  options: { insecure?: boolean } = {},
): Promise<CollectedIds> {
  const ledgers: Found[] = []
  const objections: string[] = []
  const notes: string[] = []
  for (const source of sources) {
    const found = await readLedger(source, options).catch((failure: unknown) => {
      if (!(failure instanceof LedgerUnreadableError)) throw failure
      objections.push(failure.message)
      return undefined
    })
    if (found === undefined) continue
    if (found.isFull) objections.push(`the ledger ${source} is full: what came later is not in it`)
    const at = ledgers.findIndex(one => isSameLedger(one, found))
    const twin = ledgers[at]
    if (twin === undefined) {
      const copy = ledgers.find(one => one.lines === found.lines && found.lines !== '')
      if (copy !== undefined) notes.push(`${alike(copy, found)}: if they are one, name it once`)
      ledgers.push(found)
      continue
    }
    if (twin.identity === undefined || found.identity === undefined)
      objections.push(`${alike(twin, found)}, and were taken for one: name it once`)
    else notes.push(`the ledgers ${twin.source} and ${source} are one, and count once`)
    if (found.lines.length > twin.lines.length) ledgers[at] = found // it was still being written to
  }
  const isWhole = objections.length === 0
  return { ids: ledgers.flatMap(({ lines }) => idsIn(lines)), isWhole, objections, notes }
}

function alike(one: Found, other: Found): string {
  return `the ledgers ${one.source} and ${other.source} have the same lines in the same order`
}

/** By what they say of themselves; where one says nothing, by what they hold. */
function isSameLedger(one: Found, other: Found): boolean {
  if (one.identity === undefined || other.identity === undefined) return one.lines === other.lines && one.lines !== ''
  const isGrown = one.lines.startsWith(other.lines) || other.lines.startsWith(one.lines)
  return one.identity === other.identity && isGrown
}

function idsIn(lines: string): string[] {
  return lines.split('\n').filter(line => line !== '' && line !== FULL)
}

/** @throws LedgerUnreadableError */
async function readLedger(source: string, options: { insecure?: boolean }): Promise<Found> {
  try {
    const isAddress = /^https?:\/\//.test(source)
    const { lines, identity } = isAddress ? await fetched(source, options.insecure === true) : await read(source)
    return { source, lines, identity, isFull: lines.startsWith(`${FULL}\n`) || lines.includes(`\n${FULL}\n`) }
  } catch (cause) {
    throw new LedgerUnreadableError(
      `the ledger ${source} cannot be read: ${messageOf(cause)}. A server that has died leaves only a file`,
      { cause },
    )
  }
}

async function read(path: string): Promise<Pick<Found, 'lines' | 'identity'>> {
  const { size, dev, ino, birthtimeNs } = await stat(path, { bigint: true })
  if (size > LEDGER_BYTES_MAX) throw new Error('it is too large')
  return { lines: await readFile(path, 'utf8'), identity: `file ${dev}-${ino}-${birthtimeNs}` }
}

function fetched(url: string, insecure: boolean): Promise<Pick<Found, 'lines' | 'identity'>> {
  const options = { agent: false as const, timeout: ANSWER_MS_MAX }
  return new Promise((resolve, reject) => {
    const asked = url.startsWith('https:')
      ? tlsRequest(url, { ...options, rejectUnauthorized: !insecure })
      : plainRequest(url, options)
    asked.on('response', answer => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > LEDGER_BYTES_MAX) asked.destroy(new Error('it is too large'))
        else chunks.push(chunk)
      })
      answer.on('error', reject)
      answer.on('end', () => {
        const named = answer.headers[IDENTITY_HEADER]
        const identity = typeof named === 'string' ? named : undefined
        if (answer.statusCode === 200) resolve({ lines: Buffer.concat(chunks).toString(), identity })
        else reject(new Error(`status ${answer.statusCode}`))
      })
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
    asked.on('error', reject)
    asked.end()
  })
}
