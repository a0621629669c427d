import { createHash, timingSafeEqual } from 'node:crypto'
import {
  boolField,
  bytesField,
  decodeRecord,
  encodeRecord,
  type Fields,
  intField,
  type Seq,
  seqField,
  textField,
  textMapField,
  textsField,
  uintField,
} from './records.ts'
import { ValueScanner } from './scan.ts'

/** What a client wants done, with its body already read. Handshake and authentication never get this far. */
export type RpcRequest = { readonly seq: Seq } & (
  | { readonly command: 'event'; readonly name: string; readonly payload: Uint8Array; readonly coalesce: boolean }
  | { readonly command: 'force-leave'; readonly node: string; readonly prune: boolean }
  | { readonly command: 'join'; readonly addresses: readonly string[]; readonly replay: boolean }
  | { readonly command: 'members' | 'leave' | 'stats' | 'list-keys' }
  | { readonly command: 'install-key' | 'use-key' | 'remove-key'; readonly key: string }
  | { readonly command: 'get-coordinate'; readonly node: string }
  | { readonly command: 'monitor'; readonly level: string }
  | MembersFilteredRequest
  | { readonly command: 'tags'; readonly set: ReadonlyMap<string, string>; readonly remove: readonly string[] }
  | { readonly command: 'stream'; readonly filters: string }
  | { readonly command: 'stop'; readonly stop: Seq }
  | QueryRequest
  | { readonly command: 'respond'; readonly handle: Seq; readonly payload: Uint8Array }
)

export interface MembersFilteredRequest {
  readonly command: 'members-filtered'
  /** Expressions; empty: any. */
  readonly name: string
  readonly status: string
  readonly tags: ReadonlyMap<string, string>
}

export interface QueryRequest {
  readonly command: 'query'
  readonly name: string
  readonly payload: Uint8Array
  readonly filterNodes: readonly string[]
  readonly filterTags: ReadonlyMap<string, string>
  readonly relayFactor: number
  readonly requestAck: boolean
  /** 0: the cluster's default. */
  readonly timeoutMs: number
}

/** What the connection's driver does next. */
export type SessionStep =
  /** Nothing whole has arrived: read more. */
  | { readonly kind: 'wait' }
  /** Write, then ask again. */
  | { readonly kind: 'answer'; readonly bytes: Uint8Array }
  /** Write if there is something to write, then close. */
  | { readonly kind: 'close'; readonly bytes?: Uint8Array; readonly reason: string }
  /** Perform, write the answer, then ask again: requests of one connection are handled strictly one after the other. */
  | { readonly kind: 'perform'; readonly request: RpcRequest }

/**
 * The agent's side of one RPC connection, without I/O: bytes in, steps out. It knows the order of things (handshake,
 * authentication, header, body) and nothing of what the commands mean. Malformed input is a `close`, never an exception.
 */
export class RpcSession {
  readonly #scanner = new ValueScanner(REQUEST_BYTES_MAX)
  readonly #authKey: string
  #greeted = false
  #authenticated: boolean
  /** A header that lacks a field keeps the previous one's, as in Serf: visible when a body is taken for a header (2.2). */
  #command = ''
  #seq: Seq = 0
  /** The header has been read and its body has not. */
  #awaitsBody = false
  #closed: string | undefined

  /** @param authKey empty: everyone may */
  constructor(authKey: string) {
    this.#authKey = authKey
    this.#authenticated = authKey === ''
  }

  /** Bytes that wait for their turn; the driver stops reading above `REQUEST_BYTES_MAX`. */
  get buffered(): number {
    return this.#scanner.size
  }

  /** Handshake and, where there is a key, authentication have succeeded. */
  get isAdmitted(): boolean {
    return this.#greeted && this.#authenticated
  }

  receive(chunk: Uint8Array): void {
    if (this.#closed === undefined) this.#scanner.push(chunk)
  }

  next(): SessionStep {
    if (this.#closed !== undefined) return { kind: 'close', reason: this.#closed }
    try {
      return this.#next()
    } catch (malformed) {
      return this.#close(malformed instanceof Error ? malformed.message : 'malformed input')
    }
  }

  #next(): SessionStep {
    const bytes = this.#scanner.take()
    if (bytes === undefined) return { kind: 'wait' }
    const fields = decodeRecord(bytes)
    if (this.#awaitsBody) return this.#body(fields)
    this.#command = fields.has('Command') ? textField(fields, 'Command') : this.#command
    this.#seq = seqField(fields, 'Seq') ?? this.#seq
    return this.#header()
  }

  #header(): SessionStep {
    const command = this.#command
    if (command !== 'handshake' && !this.#greeted) return this.#refuse('Handshake required')
    if (command !== 'handshake' && command !== 'auth' && !this.#authenticated) return this.#answer(AUTH_REQUIRED)
    if (BODILESS.has(command)) return this.#body(new Map())
    if (command !== 'handshake' && command !== 'auth' && !Object.hasOwn(READERS, command)) {
      return this.#refuse('Unsupported command')
    }
    this.#awaitsBody = true
    return this.#next()
  }

  #body(fields: Fields): SessionStep {
    this.#awaitsBody = false
    if (this.#command === 'handshake') return this.#handshake(uintField(fields, 'Version', 0x7fff_ffff))
    if (this.#command === 'auth') return this.#auth(textField(fields, 'AuthKey'))
    const read = READERS[this.#command]
    if (read === undefined) return this.#refuse('Unsupported command')
    return { kind: 'perform', request: { seq: this.#seq, ...read(fields) } }
  }

  #handshake(version: number): SessionStep {
    if (version !== RPC_VERSION) return this.#answer('Unsupported IPC version')
    if (this.#greeted) return this.#answer('Handshake already performed')
    this.#greeted = true
    return this.#answer('')
  }

  #auth(key: string): SessionStep {
    if (!equalSecrets(key, this.#authKey)) return this.#answer('Invalid authentication token')
    this.#authenticated = true
    return this.#answer('')
  }

  #answer(error: string): SessionStep {
    return { kind: 'answer', bytes: answerHeader(this.#seq, error) }
  }

  #refuse(error: string): SessionStep {
    return { ...this.#close(error), bytes: answerHeader(this.#seq, error) }
  }

  #close(reason: string): { kind: 'close'; reason: string } {
    this.#closed = reason
    return { kind: 'close', reason }
  }
}

export function answerHeader(seq: Seq, error: string): Uint8Array {
  return encodeRecord({ Error: error, Seq: seq })
}

export const RPC_VERSION = 1

/** A request is some names, tags and one payload; Serf's largest event is 9 KiB. Bounds what one connection can make us hold. */
export const REQUEST_BYTES_MAX = 256 * 1024

const AUTH_REQUIRED = 'Authentication required'

const BODILESS: ReadonlySet<string> = new Set(['members', 'leave', 'stats', 'list-keys'])

type RequestBody = RpcRequest extends infer R ? (R extends unknown ? Omit<R, 'seq'> : never) : never

const READERS: Readonly<Record<string, (fields: Fields) => RequestBody>> = {
  members: () => ({ command: 'members' }),
  leave: () => ({ command: 'leave' }),
  stats: () => ({ command: 'stats' }),
  'list-keys': () => ({ command: 'list-keys' }),
  'install-key': fields => ({ command: 'install-key', key: textField(fields, 'Key') }),
  'use-key': fields => ({ command: 'use-key', key: textField(fields, 'Key') }),
  'remove-key': fields => ({ command: 'remove-key', key: textField(fields, 'Key') }),
  'get-coordinate': fields => ({ command: 'get-coordinate', node: textField(fields, 'Node') }),
  monitor: fields => ({ command: 'monitor', level: textField(fields, 'LogLevel') }),
  event: fields => ({
    command: 'event',
    name: textField(fields, 'Name'),
    payload: bytesField(fields, 'Payload'),
    coalesce: boolField(fields, 'Coalesce'),
  }),
  'force-leave': fields => ({
    command: 'force-leave',
    node: textField(fields, 'Node'),
    prune: boolField(fields, 'Prune'),
  }),
  join: fields => ({
    command: 'join',
    addresses: textsField(fields, 'Existing'),
    replay: boolField(fields, 'Replay'),
  }),
  'members-filtered': fields => ({
    command: 'members-filtered',
    name: textField(fields, 'Name'),
    status: textField(fields, 'Status'),
    tags: textMapField(fields, 'Tags'),
  }),
  tags: fields => ({
    command: 'tags',
    set: textMapField(fields, 'Tags'),
    remove: textsField(fields, 'DeleteTags'),
  }),
  stream: fields => ({ command: 'stream', filters: textField(fields, 'Type') }),
  stop: fields => ({ command: 'stop', stop: seqField(fields, 'Stop') ?? 0 }),
  query: fields => ({
    command: 'query',
    name: textField(fields, 'Name'),
    payload: bytesField(fields, 'Payload'),
    filterNodes: textsField(fields, 'FilterNodes'),
    filterTags: textMapField(fields, 'FilterTags'),
    relayFactor: uintField(fields, 'RelayFactor', 255),
    requestAck: boolField(fields, 'RequestAck'),
    timeoutMs: Math.max(0, intField(fields, 'Timeout')) / 1e6, // nanoseconds on the wire
  }),
  respond: fields => ({
    command: 'respond',
    handle: seqField(fields, 'ID') ?? 0,
    payload: bytesField(fields, 'Payload'),
  }),
}

/** In a time that does not depend on where the two differ. */
function equalSecrets(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
