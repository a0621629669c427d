/** What a process of many members (`members.ts`) is told, and how it is called. */
import { resolve } from 'node:path'

const MEMBERS = resolve(import.meta.dirname, 'members.ts')

export interface MembersPlan {
  /** One member each, named `n<number>`. */
  readonly ips: Readonly<Record<string, string>>
  readonly tags: Readonly<Record<string, string>>
  /** Address and port that all of them join. */
  readonly join: string
  /** From one member's start to the next, milliseconds. */
  readonly everyMs: number
  /** Serf's RPC on port 7373 of each, of which `join`, `leave`, `members` and `stats` are there. */
  readonly rpc: boolean
}

/** The command of that process, by the same Node and loader as this one's. */
export function membersCommand(plan: MembersPlan): string[] {
  return [process.execPath, ...process.execArgv, MEMBERS, JSON.stringify(plan)]
}

/** When the first one began to join and the last one had, milliseconds since 1970; undefined: not yet. */
export function joinedAt(output: string, which: 'first' | 'last'): number | undefined {
  const found = new RegExp(`^${which} (\\d+)$`, 'm').exec(output)?.[1]
  return found === undefined ? undefined : Number(found)
}
