import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Where a server tells what it has executed: one id a line, as often as it was. */
export const LEDGER_PATH = '/.muster/ledger'

export interface LedgerOptions {
  /**
   * The ids go to this file, one append each, so that a server that is killed the next moment has still left them. Several
   * servers may share it. Default: memory only, which dies with the server.
   */
  readonly file?: string
  /** How a request names itself; default: the header `x-request-id`, else `?id=`. Undefined: it is not recorded. */
  readonly idOf?: (request: IncomingMessage) => string | undefined
  /** Whether `GET /.muster/ledger` is answered, to anybody who can reach this server; default true. */
  readonly answers?: boolean
}

/** The ids of what this server has executed. */
export interface ExecutedLedger {
  /** For `app.use(…)`, before the routes and behind what parses the body, if `idOf` looks into it. */
  readonly middleware: (request: IncomingMessage, response: ServerResponse, next: (failure?: unknown) => void) => void
  /** For servers without middleware: call it when the request is executed, before it is answered. */
  record(id: string): void
  /** One id a line. The last line is `# full` when there was no room for more. */
  text(): string
  close(): void
}

/** Says which ledger it is, so that one with two addresses, or with a file and an address, is not taken for two. */
const IDENTITY_HEADER = 'x-muster-ledger'

/** Ids are printable and short, so that one line is one id. */
const ID_PATTERN = /^[\x21-\x22\x24-\x7e][\x21-\x7e]{0,127}$/
/** A million ids or so; then nothing is recorded any more, and the ledger says so. */
const BYTES_MAX = 64 * 1024 * 1024
const FULL = '# full\n'
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** @throws the system's error when the file cannot be opened for appending */
export function openLedger(options: LedgerOptions = {}): ExecutedLedger {
  const { idOf = idIn, answers = true } = options
  const book = options.file === undefined ? new MemoryBook() : new FileBook(options.file)
  const record = (id: string) => {
    if (ID_PATTERN.test(id)) book.append(`${id}\n`)
  }
  return {
    record,
    text: () => book.text(),
    close: () => book.close(),
    middleware(request, response, next) {
      if (answers && request.method === 'GET' && pathOf(request) === LEDGER_PATH) {
        response.setHeader('content-type', 'text/plain; charset=utf-8').setHeader('cache-control', 'no-store')
        response.setHeader(IDENTITY_HEADER, book.identity)
        response.end(book.text())
        return
      }
      const id = SAFE.has(request.method ?? 'GET') ? undefined : idOf(request)
      if (id !== undefined) record(id)
      next()
    },
  }
}

class FileBook {
  /** The same for whoever else has the file open, or looks at it. */
  readonly identity: string
  readonly #path: string
  readonly #file: number
  #bytes: number

  constructor(path: string) {
    this.#path = path
    this.#file = openSync(path, 'a', 0o600)
    const { size, dev, ino, birthtimeNs } = fstatSync(this.#file, { bigint: true })
    this.#bytes = Number(size)
    this.identity = `file ${dev}-${ino}-${birthtimeNs}`
  }

  append(line: string): void {
    if (this.#bytes > BYTES_MAX) return
    this.#bytes += line.length
    writeSync(this.#file, this.#bytes > BYTES_MAX ? FULL : line)
  }

  text(): string {
    return readFileSync(this.#path, 'utf8')
  }

  close(): void {
    closeSync(this.#file)
  }
}

class MemoryBook {
  readonly identity = `memory ${randomUUID()}`
  readonly #lines: string[] = []
  #bytes = 0

  append(line: string): void {
    if (this.#bytes > BYTES_MAX) return
    this.#bytes += line.length
    this.#lines.push(this.#bytes > BYTES_MAX ? FULL : line)
  }

  text(): string {
    return this.#lines.join('')
  }

  close(): void {}
}

function idIn(request: IncomingMessage): string | undefined {
  const named = request.headers['x-request-id']
  if (typeof named === 'string') return named
  return new URLSearchParams(queryOf(request.url ?? '/')).get('id') ?? undefined
}

/** Of any target, also of those that are no URL (`//`, `http://`, `*`): a `URL` of one throws, and would end the server. */
function queryOf(target: string): string {
  const [beforeHash] = target.split('#', 1) as [string]
  const mark = beforeHash.indexOf('?')
  return mark < 0 ? '' : beforeHash.slice(mark + 1)
}

/** Express shortens `url` by where the middleware is mounted. */
function pathOf(request: IncomingMessage & { originalUrl?: string }): string {
  return (request.originalUrl ?? request.url ?? '/').split('?')[0] as string
}
