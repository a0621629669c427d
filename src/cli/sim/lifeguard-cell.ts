import type { Cost } from '../../simulator/index.ts'

/** One ring of the study: where in the grid it is. */
export interface Cell {
  readonly experiment: 'interval' | 'threshold'
  readonly configuration: string
  readonly slow: number
  readonly forMs: number
  /** 0 in the threshold experiment. */
  readonly pauseMs: number
  readonly seed: number
}

/** What came out of it. */
export interface CellResult extends Cell {
  readonly falsePositives: number
  readonly falsePositivesHealthy: number
  readonly cost: Cost
  /** Of each slow member in the threshold experiment: until the first healthy member, and the last, declared it dead. */
  readonly detections: readonly { readonly firstMs: number | undefined; readonly lastMs: number | undefined }[]
}
