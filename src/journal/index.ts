/**
 * journal: what happened on this host, on disk, bounded, and readable whatever a crash has left. Membership, services, the
 * receipts of what was applied to HAProxy, operators' commands, guards, the agent itself. Segment files of lines with a
 * checksum each; a segment begins with the pools as they are, so that the pools of any time are answered from one. Knows
 * none of the rooms that it keeps the books of: the agent translates.
 */
export {
  Journal,
  JOURNAL_BYTES,
  JOURNAL_BYTES_MIN,
  type JournalConfig,
  type JournalDeps,
  openJournal,
} from './drivers/journal.ts'
export type { PoolsThen } from './drivers/reading.ts'
export type { AppendFile, OpenFile } from './drivers/segment-writer.ts'
export { type JournalPage, type JournalQuery, PAGE_RECORDS_MAX } from './query.ts'
export {
  type AgentEntry,
  type AgentThen,
  type CheckEntry,
  type CommandEntry,
  type GuardEntry,
  type JournalEntry,
  type JournalRecord,
  type MemberEntry,
  type MemberState,
  type PoolServer,
  type Receipt,
  type ReceiptCause,
  type ReceiptChange,
  type ReceiptEntry,
  RECORD_KINDS,
  type RecordKind,
  type ServerState,
  type ServiceEntry,
} from './records.ts'
