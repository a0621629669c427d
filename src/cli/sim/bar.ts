import { tell } from '../output.ts'

const CELLS = 30
/** On a log, a line whenever this share is through, and not more often than this. */
const LINES = 10
const LINE_MS = 5000

/** How far several rings are: on a terminal a bar that stays, on a log a line now and then; on standard error. */
export class Bar {
  readonly #jobs: number
  /** Those under way, 0 to 1. */
  readonly #shares = new Map<unknown, number>()
  #through = 0
  #lines = 0
  #toldAtMs = 0
  #shown = ''

  constructor(jobs: number) {
    this.#jobs = jobs
  }

  step(job: unknown, share: number): void {
    this.#shares.set(job, share)
  }

  done(job: unknown): void {
    this.#shares.delete(job)
    this.#through++
  }

  /** All that is done, 0 to 1. */
  get share(): number {
    const underWay = [...this.#shares.values()].reduce((sum, share) => sum + share, 0)
    return this.#jobs === 0 ? 1 : Math.min(1, (this.#through + underWay) / this.#jobs)
  }

  text(elapsedMs: number): string {
    const { share } = this
    const filled = Math.floor(share * CELLS)
    const left = share > 0.02 && share < 1 ? `, about ${seconds((elapsedMs / share) * (1 - share))} left` : ''
    const cells = '█'.repeat(filled) + '░'.repeat(CELLS - filled)
    return `${cells} ${Math.floor(share * 100)} %, ${this.#through} of ${this.#jobs} rings, ${seconds(elapsedMs)}${left}`
  }

  show(elapsedMs: number): void {
    const line = this.text(elapsedMs).slice(0, (process.stderr.columns ?? 80) - 1)
    if (process.stderr.isTTY && line !== this.#shown) process.stderr.write(`\r\u001b[K${line}`)
    this.#shown = line
    const isEarly = this.share * LINES < this.#lines + 1 || elapsedMs - this.#toldAtMs < LINE_MS
    if (process.stderr.isTTY || isEarly) return
    this.#toldAtMs = elapsedMs
    this.#lines = Math.floor(this.share * LINES)
    tell(`${Math.floor(this.share * 100)} %, ${this.#through} of ${this.#jobs} rings, ${seconds(elapsedMs)}`)
  }

  /** Takes the bar away, so that something can be printed. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }
}

function seconds(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}
