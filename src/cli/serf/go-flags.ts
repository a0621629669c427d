import { quoted } from './go-text.ts'

/** What an option's value is; lists are repeatable. */
export type FlagKind = 'boolean' | 'text' | 'list' | 'duration' | 'integer'

export type FlagSpec = Readonly<Record<string, FlagKind>>

interface FlagValues {
  boolean: boolean
  text: string
  list: readonly string[]
  /** Nanoseconds. */
  duration: number
  integer: number
}

export type Flags<S extends FlagSpec> = { readonly [K in keyof S]?: FlagValues[S[K]] }

export type Parsed<S extends FlagSpec> =
  | { readonly flags: Flags<S>; readonly rest: readonly string[]; readonly given: readonly GivenFlag[] }
  /** The parser's message; undefined when help was asked for. */
  | { readonly failure: string | undefined }

/** An option as it stood on the line; a boolean without a value has `true`. */
export interface GivenFlag {
  readonly name: string
  readonly value: string
}

/**
 * Reads options as Go's `flag` package does: one dash or two, `-name=value` or `-name value`, booleans only with `=`; the
 * first argument that is not an option, or `--`, ends them.
 */
export function parseFlags<S extends FlagSpec>(spec: S, args: readonly string[]): Parsed<S> {
  const flags: Record<string, unknown> = {}
  const given: GivenFlag[] = []
  let at = 0
  while (at < args.length) {
    const text = args[at] as string
    if (text.length < 2 || !text.startsWith('-')) break
    at++
    if (text === '--') break
    const option = readOption(text)
    if (option === undefined) return { failure: `bad flag syntax: ${text}` }
    const kind = Object.hasOwn(spec, option.name) ? spec[option.name] : undefined
    if (kind === undefined) return { failure: unknown(option.name) }
    const value = option.value ?? (kind === 'boolean' ? 'true' : args[at++])
    if (value === undefined) return { failure: `flag needs an argument: -${option.name}` }
    const failure = put(flags, option.name, kind, value)
    if (failure !== undefined) return { failure }
    given.push({ name: option.name, value })
  }
  return { flags: flags as Flags<S>, rest: args.slice(at), given }
}

function readOption(text: string): { name: string; value: string | undefined } | undefined {
  const bare = text.slice(text.startsWith('--') ? 2 : 1)
  if (bare === '' || bare.startsWith('-') || bare.startsWith('=')) return undefined
  const split = bare.indexOf('=')
  return split < 0 ? { name: bare, value: undefined } : { name: bare.slice(0, split), value: bare.slice(split + 1) }
}

function unknown(name: string): string | undefined {
  return name === 'h' || name === 'help' ? undefined : `flag provided but not defined: -${name}`
}

function put(flags: Record<string, unknown>, name: string, kind: FlagKind, text: string): string | undefined {
  if (kind === 'list') {
    flags[name] = [...((flags[name] as string[] | undefined) ?? []), text]
    return undefined
  }
  const value = READERS[kind](text)
  if (!(value instanceof Refusal)) {
    flags[name] = value
    return undefined
  }
  if (kind === 'boolean') return `invalid boolean value ${quoted(text)} for -${name}: ${value.reason}`
  return `invalid value ${quoted(text)} for flag -${name}: ${value.reason}`
}

class Refusal {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

const NOT_PARSED = new Refusal('parse error')

const READERS = {
  text: (text: string) => text,
  boolean(text: string): boolean | Refusal {
    if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
    return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : NOT_PARSED
  },
  /** Also hexadecimal, octal and binary, as Go's base 0 takes them. */
  integer(text: string): number | Refusal {
    const found = /^([+-]?)(0[xX][\da-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9]\d*)$/.exec(
      text.replace(/(?<=[\da-zA-Z])_(?=[\da-zA-Z])/g, ''),
    )
    if (found === null) return NOT_PARSED
    const digits = found[2] as string
    const size = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits)
    const value = found[1] === '-' ? -size : size
    if (value > INT64_MAX || value < -INT64_MAX - 1n) return new Refusal('value out of range')
    return Number(value)
  },
  duration: (text: string): number | Refusal => readDuration(text) ?? NOT_PARSED,
} as const

const INT64_MAX = 2n ** 63n - 1n
const NANOS: Readonly<Record<string, number>> = {
  ...{ ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 },
}

/** A duration in nanoseconds; undefined when it is none. */
export function readDuration(text: string): number | undefined {
  const found = /^([+-]?)(0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text)
  if (found === null) return undefined
  let sum = 0
  for (const [, amount, unit] of (found[2] as string).matchAll(/([\d.]+)([a-zµμ]+)/g))
    sum += Number(amount) * (NANOS[unit as string] ?? 0)
  if (sum > Number(INT64_MAX)) return undefined
  return found[1] === '-' ? -sum : sum
}
