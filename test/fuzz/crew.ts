import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { CASE, type Escape, type Job, type JobResult, OVER, READY } from './cases.ts'

/** A case that takes longer than this hangs, if it does so again and again. */
export const CASE_MS_MAX = 1000
/** Processor time of all threads meanwhile: less, and the case has only waited for a processor that others had. */
const CASE_CPU_MS_MIN = 2 * CASE_MS_MAX
/** Whoever waits for what never comes needs no processor at all; and nobody has to wait so long for one. */
const CASE_WAIT_MS_MAX = 10 * CASE_MS_MAX
const HANGS_TRIES = 3
const WATCH_MS = 100
/** What is held between two looks of a watcher, in heaps and outside of them; a case reads 4 KiB. */
const HEAP_MIB_MAX = 512
const RSS_BYTES_MAX = 2 * 2 ** 30

/** A case that did not come to its end. */
export interface Stuck {
  readonly nth: number
  readonly what: string
}

export type Outcome = JobResult | Escape | Stuck

/** One thread that runs jobs one after the other, and its watcher. A thread that hangs is ended, and the case is known. */
export class CrewMember {
  readonly #at = new Int32Array(new SharedArrayBuffer(8))
  #worker: Worker | undefined

  /** @param signal ends the job after the case that is under way; the outcome is what it has met until then */
  async run(job: Job, signal?: AbortSignal): Promise<Outcome> {
    const end = () => void Atomics.store(this.#at, OVER, 1)
    Atomics.store(this.#at, OVER, signal?.aborted === true ? 1 : 0)
    signal?.addEventListener('abort', end)
    try {
      return await this.#tryAll(job)
    } finally {
      signal?.removeEventListener('abort', end)
    }
  }

  async stop(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  async #tryAll(job: Job): Promise<Outcome> {
    let outcome = await this.#try(job)
    for (let tries = 1; isHang(outcome) && tries < HANGS_TRIES; tries++) {
      const alone = await this.#try({ ...job, from: outcome.nth, count: 1 })
      if ('what' in alone) return alone
      outcome = await this.#try(job)
    }
    return outcome
  }

  async #try(job: Job): Promise<Outcome> {
    const worker = this.#worker ?? (await this.#started())
    Atomics.store(this.#at, CASE, -1)
    return new Promise<Outcome>((resolve, reject) => {
      let [last, sinceMs, sinceCpuMs] = [-1, performance.now(), cpuMs()]
      const settle = (act: () => void) => {
        clearInterval(watch)
        worker.off('message', onResult).off('error', onError).off('exit', onExit)
        act()
      }
      const onResult = (result: JobResult | Escape | typeof READY) => {
        if (result !== READY) settle(() => resolve(result))
      }
      const onError = (failure: Error) => give(`ended the thread: ${failure.stack ?? failure.message}`)
      const onExit = (code: number) => settle(() => reject(new Error(`the thread ended with ${code}`)))
      const give = (what: string) => {
        const nth = Atomics.load(this.#at, CASE)
        settle(() => void this.stop().then(() => resolve({ nth, what })))
      }
      const watch = setInterval(() => {
        const at = Atomics.load(this.#at, CASE)
        if (at !== last) [last, sinceMs, sinceCpuMs] = [at, performance.now(), cpuMs()]
        else if (at >= 0 && isTooLong(performance.now() - sinceMs, cpuMs() - sinceCpuMs)) give(HANGS)
        if (process.memoryUsage.rss() > RSS_BYTES_MAX) give(`holds more than ${RSS_BYTES_MAX} bytes`)
      }, WATCH_MS)
      worker.on('message', onResult).on('error', onError).on('exit', onExit)
      worker.postMessage(job)
    })
  }

  async #started(): Promise<Worker> {
    const worker = new Worker(ENTRY, {
      eval: true,
      workerData: { at: this.#at },
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
    })
    this.#worker = worker
    for (let said: unknown; said !== READY; ) [said] = await once(worker, 'message')
    return worker
  }
}

/** A thread does not take over how this one reads TypeScript. */
const ENTRY = `import('tsx/esm/api').then(tsx => (tsx.register(), import(${JSON.stringify(new URL('./worker.ts', import.meta.url).href)})))`
const HANGS = `takes longer than ${CASE_MS_MAX} ms`

/**
 * Whether a case hangs: it is busy, or it waits for a promise that nobody keeps.
 * @param cpuMs processor time of all threads since it began
 */
export function isTooLong(wallMs: number, cpuMs: number): boolean {
  return wallMs > CASE_WAIT_MS_MAX || (wallMs > CASE_MS_MAX && cpuMs > CASE_CPU_MS_MIN)
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function isHang(outcome: Outcome): outcome is Stuck {
  return 'what' in outcome && outcome.what === HANGS
}
