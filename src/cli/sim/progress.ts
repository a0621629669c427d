/** On a log, a line whenever this share of the seeds is through. */
const LINES = 20

/** How far the swarm is: on a terminal one line that stays, on a log a line every now and then; on standard error. */
export class Progress {
  readonly #members: number
  readonly #seeds: number
  #through = 0
  #failed = 0

  constructor(members: number, seeds: number) {
    this.#members = members
    this.#seeds = seeds
  }

  get failed(): number {
    return this.#failed
  }

  done(failed: boolean): void {
    this.#through++
    if (failed) this.#failed++
  }

  show(elapsedMs: number): void {
    const line = `${this.#through} of ${this.#seeds} rings of ${this.#members}, ${this.#failed} failed, ${seconds(elapsedMs)}`
    if (process.stderr.isTTY) process.stderr.write(`\r${line}`)
    else if (this.#isWorthALine()) console.error(line)
  }

  /** Takes the line away, so that something can be printed. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  }

  summary(elapsedMs: number): string {
    const agreed = this.#through - this.#failed
    const rest = this.#seeds - this.#through
    const notRun = rest === 0 ? '' : `, ${rest} not run`
    return `${agreed} of ${this.#through} rings of ${this.#members} always agreed again${notRun} (${seconds(elapsedMs)})`
  }

  #isWorthALine(): boolean {
    const every = Math.max(1, Math.floor(this.#seeds / LINES))
    return this.#through > 0 && this.#through < this.#seeds && this.#through % every === 0
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
