import { type ChildProcess, fork } from 'node:child_process'
import type { Job, Results, Step } from './jobs.ts'
import { WORKER_FLAG } from './worker-flag.ts'
import type { Told } from './worker.ts'

/**
 * Most of what a ring allocates lives long: a larger nursery has less of it copied twice, which saves a tenth of the time. A
 * ring of thousands needs more than the usual heap.
 */
const EXEC_ARGV = ['--max-semi-space-size=128', '--max-old-space-size=16384']

/** What is started for each process: this very program, from the sources or from the bundle. */
export interface Program {
  readonly path: string
  readonly execArgv: readonly string[]
}

const itself = (): Program => ({ path: process.argv[1] ?? '', execArgv: process.execArgv })

export interface Heard<J extends Job> {
  /** Called for each job as soon as it is through, in whatever order; without a result its process broke on it. */
  done(job: J, result: Results[J['kind']] | undefined, why: string): void
  step?(job: J, step: Step): void
}

/** Rings on several processes, each of which runs one ring at a time. */
export class Pool<J extends Job> {
  readonly #children = new Set<ChildProcess>()
  readonly #jobs: J[]
  readonly #heard: Heard<J>
  readonly #program: Program

  constructor(jobs: readonly J[], heard: Heard<J>, program: Program = itself()) {
    this.#jobs = [...jobs]
    this.#heard = heard
    this.#program = program
  }

  /** Resolves when every job is through. */
  async run(processes: number): Promise<void> {
    await Promise.all(Array.from({ length: Math.min(processes, this.#jobs.length) }, () => this.#work()))
  }

  /** Ends all processes, in the middle of their rings. */
  kill(): void {
    this.#jobs.length = 0
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** One process after another: a next one only if the last broke on a ring. */
  async #work(): Promise<void> {
    while (this.#jobs.length > 0) await this.#workUntilItEnds()
  }

  #workUntilItEnds(): Promise<void> {
    return new Promise(resolve => {
      const { path, execArgv } = this.#program
      const child = fork(path, ['sim', WORKER_FLAG], { execArgv: [...execArgv, ...EXEC_ARGV] })
      let job: J | undefined
      this.#children.add(child)
      const next = () => {
        job = this.#jobs.shift()
        if (job === undefined) child.disconnect()
        else child.send(job)
      }
      const ended = (why: string) => {
        this.#children.delete(child)
        if (job !== undefined) this.#heard.done(job, undefined, why)
        job = undefined
        resolve()
      }
      child.on('message', message => {
        const told = message as Told
        if (job === undefined) return
        if ('step' in told) return this.#heard.step?.(job, told.step)
        this.#heard.done(job, told.result as Results[J['kind']], '')
        next()
      })
      child.on('error', error => ended(error.message))
      child.on('exit', (code, signal) => ended(signal ?? `exit code ${code}`))
      next()
    })
  }
}
