/** What is on record. Each is a plain JSON value with its number, its time and its kind. */

/** The words that `--kind` takes. */
export const RECORD_KINDS = ['member', 'service', 'receipt', 'command', 'guard', 'check', 'agent'] as const

export type RecordKind = (typeof RECORD_KINDS)[number]

/** A member as one node saw it. */
export interface MemberState {
  readonly address: string
  /** Serf's word: alive, leaving, left, failed. */
  readonly status: string
  readonly tags: Readonly<Record<string, string>>
}

/** Something happened to a member, as `seenBy` saw it. */
export interface MemberEntry {
  readonly kind: 'member'
  readonly event: 'join' | 'leave' | 'failed' | 'update' | 'reap'
  readonly member: string
  readonly before: MemberState | null
  readonly after: MemberState
  /** The node that saw it: the one that keeps this journal. */
  readonly seenBy: string
}

/** A service of this host changed its state. */
export interface ServiceEntry {
  readonly kind: 'service'
  readonly service: string
  readonly before: string | null
  readonly after: string
  readonly pid?: number
  readonly reason?: string
}

/** A server as HAProxy had it. */
export interface ServerState {
  readonly state: string
  readonly weight: number
}

export interface ReceiptCause {
  readonly what: string
  readonly member?: string
  readonly seenBy?: string
  readonly configuration?: string
}

export interface ReceiptChange {
  readonly pool: string
  readonly server: string
  readonly address: string
  /** null: it came in. */
  readonly before: ServerState | null
  /** null: it is gone. */
  readonly after: ServerState | null
  readonly reason: string
}

/** A change that was applied to HAProxy. */
export interface Receipt {
  readonly id: string
  /** Who wanted it: an operator, or the agent itself. */
  readonly actor: string
  readonly causes: readonly ReceiptCause[]
  readonly method: 'runtime' | 'reload' | 'file'
  /** Why a reload was needed, in words. */
  readonly reasons: readonly string[]
  readonly commands: readonly string[]
  readonly tookMs: number
  readonly changes: readonly ReceiptChange[]
  readonly problem?: string
}

export interface ReceiptEntry extends Receipt {
  readonly kind: 'receipt'
  /** Of a receipt whose changes fill several records: which one this is, from 1, of `parts`. */
  readonly part?: number
  readonly parts?: number
}

/** What an operator asked for. */
export interface CommandEntry {
  readonly kind: 'command'
  readonly actor: string
  readonly command: string
  readonly outcome: string
  /** Why the operator wanted it, where one was given. */
  readonly reason?: string
  readonly tookMs?: number
}

/** A guard held something back, or let it go again. */
export interface GuardEntry {
  readonly kind: 'guard'
  readonly guard: string
  /** What it did, in words. */
  readonly what: string
  readonly reason?: string
  readonly pool?: string
  readonly server?: string
}

/** HAProxy's own checks took a server out of traffic, or let it in again. */
export interface CheckEntry {
  readonly kind: 'check'
  readonly pool: string
  readonly server: string
  readonly address: string
  readonly before: 'ready' | 'down'
  readonly after: 'ready' | 'down'
  readonly reason: string
}

/** The agent itself. `gap`: the journal could not be written for a while. */
export interface AgentEntry {
  readonly kind: 'agent'
  readonly event: 'started' | 'stopped' | 'handed over' | 'gap'
  readonly node?: string
  readonly version?: string
  readonly pid?: number
  readonly reason?: string
  /** Of a gap: how many records are not here. */
  readonly missing?: number
}

export type JournalEntry =
  | MemberEntry
  | ServiceEntry
  | ReceiptEntry
  | CommandEntry
  | GuardEntry
  | CheckEntry
  | AgentEntry

export type JournalRecord = JournalEntry & {
  /** Grows for ever, also over restarts; not always by one. It decides the order, since clocks go back. */
  readonly index: number
  /** Wall clock, milliseconds since 1970. */
  readonly at: number
  /** What was too long for one record: the place of a list or text, and how long it was. */
  readonly cut?: Readonly<Record<string, number>>
}

/** A server as the journal knows it. */
export interface PoolServer {
  readonly pool: string
  readonly server: string
  readonly address: string
  readonly state: string
  readonly weight: number
  /** Wall clock of its last change, and why that was. */
  readonly since: number
  readonly reason: string
}

/** How the agent was last heard of. */
export interface AgentThen {
  readonly event: AgentEntry['event']
  readonly at: number
}

/** Begins a segment: the pools after record `index`. Large pools take several records. Nobody is shown these. */
export interface SnapshotRecord {
  readonly kind: 'snapshot'
  readonly index: number
  readonly at: number
  readonly part: number
  readonly parts: number
  readonly servers: readonly PoolServer[]
  readonly agent?: AgentThen
  /** The earliest and latest time in the segment before, so that it need not be read to know. */
  readonly previous?: { readonly minAt: number; readonly maxAt: number }
}

export type AnyRecord = JournalRecord | SnapshotRecord
