import type { Coordinate } from '../coordinate.ts'
import type { SerfEvent } from '../events.ts'
import type { KeyAnswers, KeyOperation } from '../key-requests.ts'
import type { SerfMember } from '../member.ts'

/**
 * What the RPC server needs of an agent. A rejected promise becomes the `Error` text of the answer, word for word, so its
 * message should be Serf's.
 */
export interface RpcBackend {
  members(): readonly SerfMember[]
  /** Never rejects for addresses that did not answer: they are `errors`. */
  join(addresses: readonly string[], options: { ignoreOld: boolean }): Promise<RpcJoinResult>
  /** Leaves the cluster; resolves before the agent stops. */
  leave(): Promise<void>
  /** Called once the answer to `leave` has been written: the agent may stop now. */
  afterLeave?(): void
  forceLeave(name: string, prune: boolean): Promise<void>
  userEvent(name: string, payload: Uint8Array, coalesce: boolean): Promise<void>
  tags(): Readonly<Record<string, string>>
  /** Replaces all tags. */
  setTags(tags: Record<string, string>): Promise<void>
  /** Sections of keys to texts (serf-rpc 4.15). */
  stats(): Readonly<Record<string, Readonly<Record<string, string>>>>
  /** The coalesced flow, without internal queries. @returns how to stop listening */
  onEvent(listener: (event: SerfEvent) => void): () => void
  /** Throws Serf's words when the query is too large or refused; the answers end at the deadline. */
  query(params: RpcQueryParams): RpcQueryAnswers | Promise<RpcQueryAnswers>
  /** Of any member; undefined when unknown. Without this, all are. */
  coordinate?(node: string): Coordinate | undefined
  /** Asks the whole ring; never rejects. Without this, key commands are refused. @param key base64 */
  keys?(operation: KeyOperation, key: string): Promise<KeyAnswers>
  /** The agent's log, for `monitor`. Without this, there are no lines. */
  readonly logs?: RpcLogSource | undefined
}

/** The lines of the agent's log as it prints them in Serf's form, of all levels, whatever it prints itself. */
export interface RpcLogSource {
  /** The newest lines, oldest first; Serf keeps 512. */
  recent(): readonly string[]
  /** @returns how to stop listening */
  onLine(listener: (line: string) => void): () => void
}

export interface RpcJoinResult {
  readonly contacted: number
  readonly errors: readonly { readonly address: string; readonly error: unknown }[]
}

export interface RpcQueryParams {
  readonly name: string
  readonly payload: Uint8Array
  readonly filterNodes: readonly string[]
  /** Tag name to an expression that is not anchored. */
  readonly filterTags: Readonly<Record<string, string>>
  /** 0 to 255. */
  readonly relayFactor: number
  readonly requestAck: boolean
  /** 0: the cluster's default. */
  readonly timeoutMs: number
}

export interface RpcQueryAnswers extends AsyncIterable<RpcQueryAnswer> {
  /** Ends it before its deadline, also while nothing comes. */
  close?(): void
}

export interface RpcQueryAnswer {
  readonly kind: 'ack' | 'response'
  readonly from: string
  /** Empty or absent for an ack. */
  readonly payload?: Uint8Array | undefined
}
