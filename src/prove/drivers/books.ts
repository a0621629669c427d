import type { Kind } from '../kinds.ts'
import type { Bad, Outcome } from '../ledger.ts'

/** Where the clients write down what they do; times are added behind it. */
export interface Books {
  /** @returns the request's sequence number. `server`, `atKill`: as `Ledger.sent` takes them */
  sent(kind: Kind, server?: string, atKill?: boolean): number
  idOf(sequence: number): string
  ended(sequence: number, outcome: Outcome, how?: string): void
  cameTwice(sequence: number): void
}

/** What all clients share. */
export interface ClientConfig {
  /** An answer that takes longer is none. */
  readonly timeoutMs: number
  /** Answer header in which a server names itself, in lower case. */
  readonly serverHeader: string
  /** Whether any certificate will do. */
  readonly insecure: boolean
}

/** A gateway says 502 and 504 of a request that it had passed on; 503 of one that it had not. */
export function refusal(status: number, server: string | undefined): Bad {
  return { kind: 'bad', what: `status ${status}`, mayHaveRun: status === 502 || status === 504, server }
}

export function nameIn(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined
}
