import { MusterError } from '../base/index.ts'

/** An expression that is malformed, or larger than we run for a stranger. It matches nothing. */
export class ExpressionRefusedError extends MusterError {
  readonly code = 'SERF_EXPRESSION_REFUSED'
}

/** Serf's own limit on a query is 1024 bytes, so longer ones cannot arrive in one. */
const EXPRESSION_CHARS_MAX = 1024
/** After unrolling `{n,m}`; with values of at most 512 bytes a match is under 2 million cheap steps. */
const PROGRAM_STEPS_MAX = 4000
const REPEAT_MAX = 1000
const GROUP_DEPTH_MAX = 50

/**
 * The part of RE2 that filters are written in, run in time linear in the text whatever the expression (Thompson 1968;
 * Cox, "Regular Expression Matching Can Be Simple And Fast"). JavaScript's own RegExp backtracks: `^(a+)+$` from a
 * stranger would stop the agent for years.
 *
 * Literals, `.`, classes (`[a-z]`, `[^…]`, `[[:alpha:]]`), `\d \w \s \D \W \S`, `\b \B`, `^ $ \A \z`, groups (capturing
 * or not, `(?i)` at the start), `|`, `* + ? {n,m}` and their lazy forms. Not: Unicode classes (`\p{…}`) and flags in the middle.
 */
export class LinearRegex {
  readonly #steps: readonly Step[]

  /** @throws ExpressionRefusedError */
  constructor(expression: string) {
    if (expression.length > EXPRESSION_CHARS_MAX) throw new ExpressionRefusedError('the expression is too long')
    const node = new Parser(expression).parse()
    const steps: Step[] = []
    compile(node, steps)
    steps.push({ op: 'match' })
    this.#steps = steps
  }

  /** True if it matches somewhere in `text`; not anchored. */
  test(text: string): boolean {
    const chars = Array.from(text)
    let current = new Set<number>()
    for (let at = 0; at <= chars.length; at++) {
      const next = new Set<number>()
      this.#follow(0, chars, at, current)
      for (const pc of current) {
        const step = this.#steps[pc] as Step
        if (step.op === 'match') return true
        if (step.op === 'char' && at < chars.length && step.matches(chars[at] as string)) {
          this.#follow(pc + 1, chars, at + 1, next)
        }
      }
      current = next
    }
    return false
  }

  /** Adds every step reachable from `start` without consuming a character. */
  #follow(start: number, chars: readonly string[], at: number, into: Set<number>): void {
    const pending = [start]
    for (let pc = pending.pop(); pc !== undefined; pc = pending.pop()) {
      if (into.has(pc)) continue
      into.add(pc)
      const step = this.#steps[pc] as Step
      if (step.op === 'split') pending.push(...step.to)
      else if (step.op === 'assert' && step.holds(chars, at)) pending.push(pc + 1)
    }
  }
}

type Step =
  | { readonly op: 'char'; readonly matches: (char: string) => boolean }
  | { readonly op: 'assert'; readonly holds: (chars: readonly string[], at: number) => boolean }
  | { readonly op: 'split'; to: number[] }
  | { readonly op: 'match' }

type Node =
  | { readonly kind: 'step'; readonly step: Step }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number }

function compile(node: Node, steps: Step[]): void {
  if (steps.length > PROGRAM_STEPS_MAX) throw new ExpressionRefusedError('the expression is too large')
  if (node.kind === 'step') steps.push(node.step)
  else if (node.kind === 'sequence') for (const part of node.parts) compile(part, steps)
  else if (node.kind === 'choice') compileChoice(node.parts, steps)
  else compileRepeat(node, steps)
}

function compileChoice(parts: readonly Node[], steps: Step[]): void {
  const fork: Step & { op: 'split' } = { op: 'split', to: [] }
  const ends: (Step & { op: 'split' })[] = []
  steps.push(fork)
  for (const part of parts) {
    fork.to.push(steps.length)
    compile(part, steps)
    const end: Step & { op: 'split' } = { op: 'split', to: [] }
    ends.push(end)
    steps.push(end)
  }
  for (const end of ends) end.to = [steps.length]
}

function compileRepeat(node: Node & { kind: 'repeat' }, steps: Step[]): void {
  for (let n = 0; n < node.min; n++) {
    const before = steps.length
    compile(node.part, steps)
    if (steps.length === before) return // nothing, however often, is nothing; else ((){1000}){1000} would take its time
  }
  if (node.max === Number.POSITIVE_INFINITY) {
    const loop: Step & { op: 'split' } = { op: 'split', to: [] }
    const start = steps.length
    steps.push(loop)
    compile(node.part, steps)
    steps.push({ op: 'split', to: [start] })
    loop.to = [start + 1, steps.length]
    return
  }
  const skips: (Step & { op: 'split' })[] = []
  for (let n = node.min; n < node.max; n++) {
    const skip: Step & { op: 'split' } = { op: 'split', to: [steps.length + 1] }
    skips.push(skip)
    steps.push(skip)
    compile(node.part, steps)
  }
  for (const skip of skips) skip.to.push(steps.length)
}

type CharTest = (char: string) => boolean

const isWord: CharTest = char => /^[0-9A-Za-z_]$/.test(char)
const isDigit: CharTest = char => char >= '0' && char <= '9' && char.length === 1
const isSpace: CharTest = char => /^[\t\n\f\r ]$/.test(char)
const not =
  (test: CharTest): CharTest =>
  char =>
    !test(char)

const CLASSES: Readonly<Record<string, CharTest>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
}
const CONTROLS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07' }
const POSIX: Readonly<Record<string, RegExp>> = {
  alnum: /^[0-9A-Za-z]$/,
  alpha: /^[A-Za-z]$/,
  blank: /^[\t ]$/,
  digit: /^[0-9]$/,
  lower: /^[a-z]$/,
  punct: /^[!-/:-@[-`{-~]$/,
  space: /^[\t\n\v\f\r ]$/,
  upper: /^[A-Z]$/,
  word: /^[0-9A-Za-z_]$/,
  xdigit: /^[0-9A-Fa-f]$/,
}

const atWordBoundary = (chars: readonly string[], at: number): boolean =>
  isWord(chars[at - 1] ?? '') !== isWord(chars[at] ?? '')
const atStart = (_: readonly string[], at: number): boolean => at === 0
const atEnd = (chars: readonly string[], at: number): boolean => at === chars.length

/** Recursive descent, bounded in depth. */
class Parser {
  readonly #chars: readonly string[]
  #at = 0
  #depth = 0
  #ignoreCase = false

  constructor(expression: string) {
    this.#chars = Array.from(expression)
  }

  parse(): Node {
    if (this.#chars.slice(0, 4).join('') === '(?i)') {
      this.#ignoreCase = true
      this.#at = 4
    }
    const node = this.#choice()
    if (this.#at < this.#chars.length) throw this.#refused('unexpected )')
    return node
  }

  #choice(): Node {
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    return parts.length === 1 ? (parts[0] as Node) : { kind: 'choice', parts }
  }

  #sequence(): Node {
    const parts: Node[] = []
    while (this.#at < this.#chars.length && this.#peek() !== '|' && this.#peek() !== ')') parts.push(this.#repeated())
    return { kind: 'sequence', parts }
  }

  #repeated(): Node {
    const part = this.#atom()
    const range = this.#range()
    if (range === undefined) return part
    this.#take('?') // lazy or greedy is the same to a yes or no
    if (this.#range() !== undefined) throw this.#refused('nested repetition')
    return { kind: 'repeat', part, min: range[0], max: range[1] }
  }

  #range(): readonly [min: number, max: number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY]
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY]
    if (this.#take('?')) return [0, 1]
    const found = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#chars.slice(this.#at, this.#at + 12).join(''))
    if (found === null) return undefined
    this.#at += found[0].length
    const min = Number(found[1])
    const max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3])
    if (min > REPEAT_MAX || (max !== Number.POSITIVE_INFINITY && max > REPEAT_MAX) || max < min) {
      throw this.#refused('invalid repeat count')
    }
    return [min, max]
  }

  #atom(): Node {
    const char = this.#next()
    if (char === '(') return this.#group()
    if (char === '[') return charNode(this.#class())
    if (char === '.') return charNode(c => c !== '\n')
    if (char === '^') return assertNode(atStart)
    if (char === '$') return assertNode(atEnd)
    if (char === '\\') return this.#escape()
    if (char === '*' || char === '+' || char === '?') throw this.#refused('missing argument to repetition operator')
    return charNode(this.#literal(char))
  }

  #group(): Node {
    if (++this.#depth > GROUP_DEPTH_MAX) throw this.#refused('groups are nested too deeply')
    if (this.#take('?') && !this.#take(':')) this.#groupName()
    const node = this.#choice()
    if (!this.#take(')')) throw this.#refused('missing )')
    this.#depth--
    return node
  }

  #groupName(): void {
    const name = /^(?:P?<\w+>)/.exec(this.#chars.slice(this.#at, this.#at + 64).join(''))
    if (name === null) throw this.#refused('unsupported group')
    this.#at += name[0].length
  }

  #escape(): Node {
    const char = this.#next()
    if (char === 'b') return assertNode(atWordBoundary)
    if (char === 'B') return assertNode((chars, at) => !atWordBoundary(chars, at))
    if (char === 'A') return assertNode(atStart)
    if (char === 'z') return assertNode(atEnd)
    return charNode(CLASSES[char] ?? this.#literal(this.#escapedChar(char)))
  }

  #escapedChar(char: string): string {
    const control = CONTROLS[char]
    if (control !== undefined) return control
    if (char === 'x') return this.#hex()
    if (/^[0-9A-Za-z]$/.test(char)) throw this.#refused('invalid escape sequence')
    return char
  }

  #hex(): string {
    const found = /^(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(
      this.#chars.slice(this.#at, this.#at + 8).join(''),
    )
    const code = Number.parseInt(found?.[1] ?? found?.[2] ?? '', 16)
    if (found === null || code > 0x10ffff) throw this.#refused('invalid escape sequence')
    this.#at += found[0].length
    return String.fromCodePoint(code)
  }

  #class(): CharTest {
    const negated = this.#take('^')
    const tests: CharTest[] = []
    do tests.push(this.#classItem())
    while (!this.#take(']'))
    const test: CharTest = char => tests.some(one => one(char))
    return negated ? not(test) : test
  }

  #classItem(): CharTest {
    const posix = /^\[:(\^?)(\w+):\]/.exec(this.#chars.slice(this.#at, this.#at + 12).join(''))
    if (posix !== null) return this.#posixClass(posix)
    const first = this.#next()
    const set = first === '\\' ? CLASSES[this.#peek() ?? ''] : undefined
    if (set !== undefined) {
      this.#at++
      return set
    }
    const from = first === '\\' ? this.#escapedChar(this.#next()) : first
    if (this.#peek() !== '-' || this.#chars[this.#at + 1] === ']') return this.#literal(from)
    this.#at++
    const last = this.#next()
    return this.#between(from, last === '\\' ? this.#escapedChar(this.#next()) : last)
  }

  #posixClass(found: RegExpExecArray): CharTest {
    const pattern = POSIX[found[2] as string]
    if (pattern === undefined) throw this.#refused('invalid character class')
    this.#at += found[0].length
    const test: CharTest = char => pattern.test(char)
    return found[1] === '^' ? not(test) : test
  }

  #between(from: string, to: string): CharTest {
    const [low, high] = [from.codePointAt(0) as number, to.codePointAt(0) as number]
    if (high < low) throw this.#refused('invalid character class range')
    const inside: CharTest = char => (char.codePointAt(0) as number) >= low && (char.codePointAt(0) as number) <= high
    return this.#ignoreCase ? char => inside(char.toLowerCase()) || inside(char.toUpperCase()) : inside
  }

  #literal(wanted: string): CharTest {
    if (!this.#ignoreCase) return char => char === wanted
    const folded = wanted.toLowerCase()
    return char => char.toLowerCase() === folded
  }

  #peek(): string | undefined {
    return this.#chars[this.#at]
  }

  #next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw this.#refused('unexpected end')
    return char
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }

  #refused(why: string): ExpressionRefusedError {
    return new ExpressionRefusedError(`invalid expression: ${why} at character ${this.#at}`)
  }
}

function charNode(matches: CharTest): Node {
  return { kind: 'step', step: { op: 'char', matches } }
}

function assertNode(holds: (chars: readonly string[], at: number) => boolean): Node {
  return { kind: 'step', step: { op: 'assert', holds } }
}
