import type { BalancerSettings } from '../config/index.ts'

/** What the balancer is configured by: the settings, and the text of a user's template. */
export interface Configured {
  readonly settings: BalancerSettings
  /** Undefined for a built-in one. */
  readonly template?: string
  /** The section `balancer` as it was written, to tell the differences by; absent in those that former versions kept. */
  readonly written?: object
}

/** A configuration that has been in force. */
export interface Generation extends Configured {
  /** Counts up from 1. */
  readonly number: number
  /** Wall clock, ms. */
  readonly atMs: number
  /** Who put it in force. */
  readonly actor: string
  /** Tells it from another, 12 hexadecimal digits. */
  readonly digest: string
}

/** A generation that was gone back to, and the digest of the configuration that it was preferred to. */
export interface Pin {
  readonly number: number
  readonly insteadOf: string
}
