import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Core, Outcome } from '../../simulator/index.ts'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** Most of what a ring allocates lives long: a larger nursery has less of it copied twice, which saves a tenth of the time. */
const EXEC_ARGV = ['--import', 'tsx', '--max-semi-space-size=128']

/** What all rings have in common. */
export interface Rings {
  readonly members: number
  readonly core: Core
}

/** Rings on several processes, each of which runs one ring at a time. */
export class Pool {
  readonly #children = new Set<ChildProcess>()
  readonly #rings: Rings
  readonly #seeds: number[]
  readonly #done: (seed: number, outcome: Outcome) => void

  /** @param done called for each seed as soon as it is through, in whatever order */
  constructor(rings: Rings, seeds: readonly number[], done: (seed: number, outcome: Outcome) => void) {
    this.#rings = rings
    this.#seeds = [...seeds]
    this.#done = done
  }

  /** Resolves when every seed is through. */
  async run(jobs: number): Promise<void> {
    await Promise.all(Array.from({ length: Math.min(jobs, this.#seeds.length) }, () => this.#work()))
  }

  /** Ends all processes, in the middle of their rings. */
  kill(): void {
    this.#seeds.length = 0
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** One process after another: a next one only if the last broke on a ring. */
  async #work(): Promise<void> {
    while (this.#seeds.length > 0) await this.#workUntilItEnds()
  }

  #workUntilItEnds(): Promise<void> {
    return new Promise(resolve => {
      const { members, core } = this.#rings
      const child = fork(WORKER, [String(members), core], { execArgv: EXEC_ARGV })
      let seed: number | undefined
      this.#children.add(child)
      const next = () => {
        seed = this.#seeds.shift()
        if (seed === undefined) child.disconnect()
        else child.send(seed)
      }
      const ended = (why: string) => {
        this.#children.delete(child)
        if (seed !== undefined) this.#done(seed, { steps: [], failure: `because its process ended: ${why}` })
        seed = undefined
        resolve()
      }
      child.on('message', outcome => {
        if (seed !== undefined) this.#done(seed, outcome as Outcome)
        next()
      })
      child.on('error', error => ended(error.message))
      child.on('exit', (code, signal) => ended(signal ?? `exit code ${code}`))
      next()
    })
  }
}
