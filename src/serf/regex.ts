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
