import { RE2JS } from 're2js'
import { MusterError, messageOf } from '../base/index.ts'

/** An expression that is malformed, or larger than we run for a stranger. It matches nothing. */
export class ExpressionRefusedError extends MusterError {
  readonly code = 'SERF_EXPRESSION_REFUSED'
}

/** Serf's own limit on a query is 1024 bytes, so longer ones cannot arrive in one. */
const EXPRESSION_CHARS_MAX = 1024
/** After unrolling `{n,m}`; `((a{1000}){1000}){1000}` would take all memory. */
export const PROGRAM_STEPS_MAX = 4000

/**
 * An expression in RE2's syntax, which is what Serf's users write, matched anywhere in time linear in the text whatever the
 * expression: `^(a+)+$` from a stranger would stop JavaScript's own backtracking RegExp for years.
 */
export class LinearRegex {
  readonly #compiled: RE2JS

  /** @throws ExpressionRefusedError */
  constructor(expression: string) {
    if (expression.length > EXPRESSION_CHARS_MAX) throw new ExpressionRefusedError('the expression is too long')
    if (unrolled(expression) > UNROLLED_MAX) throw new ExpressionRefusedError('the expression is too large')
    try {
      this.#compiled = RE2JS.compile(expression)
    } catch (thrown) {
      throw new ExpressionRefusedError(messageOf(thrown), { cause: thrown })
    }
    if (this.#compiled.programSize() > PROGRAM_STEPS_MAX)
      throw new ExpressionRefusedError('the expression is too large')
  }

  /** The time that `test` takes for each character goes with it. */
  get steps(): number {
    return this.#compiled.programSize()
  }

  test(text: string): boolean {
    return this.#compiled.test(text)
  }
}

/** What is larger is not even compiled, which would take most of a second; estimates are rough, so the bound is loose. */
const UNROLLED_MAX = 4 * PROGRAM_STEPS_MAX
/** A class, something escaped, a count of repetitions, or any one character. */
const PIECE = /\[\^?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\]|\\.|\{(\d+)(?:(,)(\d*))?\}|./gs

/** About how many steps the expression has once `{n,m}` is unrolled: counts in one another multiply. */
function unrolled(expression: string): number {
  const outer: number[] = []
  let [before, last] = [0, 0]
  for (const [piece, least, comma, most] of expression.matchAll(PIECE)) {
    if (least !== undefined) {
      last *= Math.max(1, Number(comma === undefined || most === '' ? least : most))
    } else if (piece === '(') {
      outer.push(before + last)
      ;[before, last] = [0, 0]
    } else if (piece === ')') {
      last += before + 1
      before = outer.pop() ?? 0
    } else {
      before += last
      last = 1
    }
  }
  return outer.reduce((sum, size) => sum + size, before + last)
}
