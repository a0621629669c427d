import type { JoinResult } from '../memberlist/index.ts'
import type { SerfState } from './core.ts'
import type { QueryAnswer } from './effects.ts'
import type { SerfEvent } from './events.ts'
import type { SerfMember } from './member.ts'
import type { QueryParams } from './queries.ts'
import type { Tags } from './tags.ts'

/**
 * Membership, tags, events and queries, whoever provides them: gossip of our own (`startSerf`), or a real agent on this host
 * over its RPC (`startRemoteSerf`). One conformance suite holds for both.
 */
export interface Engine extends AsyncDisposable {
  /** Member events come in Serf's batches, seconds later; without, each at once. */
  readonly coalesces: boolean
  state(): SerfState
  /** This node, as the ring sees it. */
  local(): SerfMember
  /** Everybody known, in whatever state, this node included. */
  members(): SerfMember[]
  tags(): Record<string, string>
  stats(): Record<string, string>
  /** What an operator should know or do, in sentences; empty when all is well. */
  warnings(): string[]
  /** What a listener throws is logged. @returns how to stop listening */
  onEvent(listener: (event: SerfEvent) => void): () => void
  /** Something in `members()` differs from before, whether Serf makes an event of it or not. @returns how to stop listening */
  onChange(listener: () => void): () => void
  /** Joins through any of the addresses; those that do not answer are in the result. @throws after leave or stop */
  join(addresses: readonly string[], options?: JoinOptions): Promise<JoinResult>
  /** Takes this node's endpoints out of the ring on purpose. @param options.tell members that hear it directly */
  leave(options?: { tell?: readonly string[] }): Promise<void>
  /** Marks a failed member as left, everywhere. @param prune also forget it */
  forceLeave(name: string, prune?: boolean): Promise<void>
  /** Replaces all tags that were set here. @param options.tell members that get them directly, within a round trip */
  setTags(tags: Tags, options?: { tell?: readonly string[] }): Promise<void>
  userEvent(name: string, payload: Uint8Array, coalesce?: boolean): Promise<void>
  /** The answers, until the deadline. */
  query(params: QueryParams): Promise<AsyncIterable<QueryAnswer>>
  /** Ends without a word to the ring. Idempotent. */
  stop(): Promise<void>
}

export interface JoinOptions {
  /** User events from before the join are not delivered. */
  readonly ignoreOld?: boolean
  readonly signal?: AbortSignal
}
