/** A setting that is written otherwise than what is in force. */
export interface SettingReport {
  /** `balancer.pools.web.timeouts.server`; durations are in milliseconds. */
  readonly path: string
  /** Absent: it was not written. */
  readonly from?: unknown
  readonly to?: unknown
  /** `muster.yaml:12:3`, where it is written. */
  readonly where?: string | undefined
}

/** What would be changed, and how. */
export interface PlanReport {
  /** To be handed to apply, which then does this and nothing else; empty where there is no balancer. */
  readonly id: string
  readonly method: 'nothing' | 'runtime' | 'reload' | 'file'
  /** Of a reload. */
  readonly reasons: readonly string[]
  /** For HAProxy's socket, in order. */
  readonly commands: readonly string[]
  /** HAProxy's file as it is and as it would be. */
  readonly before: string
  readonly after: string
  /** Why HAProxy would not load that file, in its own words, with file and line; absent where it would. */
  readonly refusal?: string
  readonly settings: readonly SettingReport[]
  /** What becomes of services of this host, a sentence each. */
  readonly services: readonly string[]
  /** Keys that differ and take a restart of the agent. */
  readonly restart: readonly string[]
  /** The one that is gone back to. */
  readonly generation?: number
}

/** What was done to HAProxy, and why. */
export interface ReceiptReport {
  readonly id: string
  readonly actor: string
  readonly method: 'runtime' | 'reload' | 'file'
  readonly reasons: readonly string[]
  readonly commands: readonly string[]
  readonly tookMs: number
}

export interface ApplyReport {
  readonly plan: PlanReport
  /** False: it was a dry run. */
  readonly isApplied: boolean
  /** Absent when HAProxy needed nothing. */
  readonly receipt?: ReceiptReport
}

/** A configuration of the balancer that was in force. */
export interface GenerationReport {
  readonly number: number
  /** ISO 8601. */
  readonly at: string
  readonly actor: string
  readonly digest: string
  readonly isCurrent: boolean
}

/** What is asked with `apply` and `rollback`. */
export interface ApplyQuery {
  readonly user?: string
  readonly plan?: string
  readonly dryRun: boolean
  /** HAProxy is reloaded even where nothing differs. */
  readonly reload?: boolean
}

/** What the API asks of the agent about its configuration. */
export interface ConfiguringBackend {
  plan(): Promise<PlanReport>
  apply(query: ApplyQuery): Promise<ApplyReport>
  rollback(query: ApplyQuery & { readonly to?: number }): Promise<ApplyReport>
  generations(): readonly GenerationReport[]
}
