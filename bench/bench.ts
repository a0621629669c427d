/** What each table is given. */
export interface Bench {
  /** Exists, is the table's own, and is removed afterwards. */
  readonly directory: string
  /** Says what is being done now. */
  note(text: string): void
  /** Shows each repetition, if that was asked for. */
  each(name: string, values: unknown): void
}

/** Measures, and prints its rows. Loopback addresses and ports are all free, and end with the run. */
export type Table = (bench: Bench) => Promise<void>
