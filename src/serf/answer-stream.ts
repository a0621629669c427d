import type { QueryAnswer } from './effects.ts'
import type { LTime } from './lamport.ts'

/** Answers as they come; the iteration ends at the query's deadline. Bounded by the core: one ack and one response each. */
export class QueryHandle implements AsyncIterable<QueryAnswer> {
  readonly ltime: LTime
  readonly id: number
  readonly deadlineMs: number
  readonly #onClose: () => void
  readonly #answers: QueryAnswer[] = []
  #isEnded = false
  #wake: (() => void) | undefined

  constructor(sent: { ltime: LTime; id: number; deadlineMs: number }, onClose: () => void) {
    this.ltime = sent.ltime
    this.id = sent.id
    this.deadlineMs = sent.deadlineMs
    this.#onClose = onClose
  }

  push(answer: QueryAnswer): void {
    this.#answers.push(answer)
    this.#wake?.()
  }

  end(): void {
    this.#isEnded = true
    this.#wake?.()
  }

  /** No further answers are wanted. */
  close(): void {
    this.#onClose()
    this.end()
  }

  /** For one reader: each answer is given once. Leaving the loop closes the query. */
  async *[Symbol.asyncIterator](): AsyncGenerator<QueryAnswer> {
    try {
      for (;;) {
        const answer = this.#answers.shift()
        if (answer !== undefined) yield answer
        else if (this.#isEnded) return
        else await this.#nextWake()
      }
    } finally {
      this.close()
    }
  }

  #nextWake(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
    })
  }
}
