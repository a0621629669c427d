import { type Job, perform, type Results, type Kind, type Step } from './jobs.ts'

/** What a process of the pool says. */
export type Told = { readonly step: Step } | { readonly result: Results[Kind] }

/** One of the processes of `muster sim`: a job comes in, its result goes out, until nobody asks any more. */
export function runWorker(): Promise<number> {
  const parent = process.ppid
  const tell = (told: Told) => void process.send?.(told)
  process.on('SIGINT', () => undefined) // Ctrl-C reaches the whole group; whoever started us sums up, and ends us
  process.on('message', job => {
    const result = perform(job as Job, step => {
      if (process.ppid !== parent) process.exit() // a ring takes minutes, during which nothing else would tell us
      if (step.share > 0) tell({ step })
    })
    tell({ result })
  })
  return new Promise(resolve => process.on('disconnect', () => resolve(0)))
}
