import {
  type Outcome,
  type Report,
  runScale,
  runScenario,
  type Sample,
  type ScaleResult,
  type ScaleRun,
  type Scenario,
  type Swarm,
  swarm,
} from '../../simulator/index.ts'

/** One ring for one process. */
export type Job =
  | { readonly kind: 'swarm'; readonly ring: Swarm }
  | { readonly kind: 'scenario'; readonly scenario: Scenario; readonly seed: number }
  | { readonly kind: 'scale'; readonly run: ScaleRun }

export interface Results {
  swarm: Outcome
  scenario: Report
  scale: ScaleResult
}

export type Kind = Job['kind']

/** How far a ring is, 0 to 1, and how it stands. */
export interface Step {
  readonly share: number
  readonly sample?: Sample
}

export function perform(job: Job, onStep: (step: Step) => void): Results[Kind] {
  switch (job.kind) {
    case 'swarm':
      return swarm(job.ring, () => onStep({ share: 0 }))
    case 'scenario':
      return runScenario(job.scenario, job.seed, (share, sample) => onStep({ share, sample }))
    case 'scale':
      return runScale(job.run, share => onStep({ share }))
  }
}
