import { readFile, stat } from 'node:fs/promises'
import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { MusterError, messageOf } from '../../base/index.ts'

/** What servers have written down. */
export interface CollectedIds {
  readonly ids: readonly string[]
  /** A ledger had no room for more: what came after is not in it. */
  readonly isFull: boolean
}

/** A server's ledger could not be read; what was collected from others still holds. */
export class LedgerUnreadableError extends MusterError {
  readonly code = 'PROVE_LEDGER'
}

/** More than the library writes. */
const LEDGER_BYTES_MAX = 80 * 1024 * 1024
const ANSWER_MS_MAX = 10_000
const FULL = '# full'

/**
 * The ids that servers have executed, each as often as it was.
 * @param source a file, or the address of a server's `/.muster/ledger`
 * @throws LedgerUnreadableError
 */
export async function collectExecuted(source: string, options: { insecure?: boolean } = {}): Promise<CollectedIds> {
  try {
    const text = /^https?:\/\//.test(source) ? await fetched(source, options.insecure === true) : await read(source)
    const lines = text.split('\n').filter(line => line !== '')
    return { ids: lines.filter(line => line !== FULL), isFull: lines.includes(FULL) }
  } catch (cause) {
    throw new LedgerUnreadableError(
      `the ledger ${source} cannot be read: ${messageOf(cause)}. A server that has died leaves only a file`,
      { cause },
    )
  }
}

async function read(path: string): Promise<string> {
  if ((await stat(path)).size > LEDGER_BYTES_MAX) throw new Error('it is too large')
  return await readFile(path, 'utf8')
}

function fetched(url: string, insecure: boolean): Promise<string> {
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
        if (answer.statusCode === 200) resolve(Buffer.concat(chunks).toString())
        else reject(new Error(`status ${answer.statusCode}`))
      })
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
    asked.on('error', reject)
    asked.end()
  })
}
