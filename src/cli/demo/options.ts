import { parseArgs } from 'node:util'
import { messageOf } from '../../base/index.ts'
import { type Format, formatOf } from '../output.ts'
import { UsageError } from '../usage-error.ts'
import { wholeNumber } from '../whole-number.ts'

const ENGINES = ['muster', 'serf'] as const
const TEMPLATES = ['slots', 'named', 'classic'] as const

export interface DemoOptions {
  /** Without a terminal: all acts, a table, and an exit code. */
  readonly check: boolean
  readonly template: (typeof TEMPLATES)[number]
  /** Who gossips: the agents themselves, or a real `serf agent` beside each. */
  readonly engine: (typeof ENGINES)[number]
  /** How long the check takes; each of its seven acts needs about five seconds. */
  readonly seconds: number
  readonly ratePerSecond: number
  /** How the check's table is printed. */
  readonly output: Format
  readonly help: boolean
}

export const DEMO_HELP = `muster demo [--check] [--template slots|named|classic] [--engine muster|serf] [--seconds N] [--rate N] [-o json]

A balancer and three servers on this machine, under load. Keys: a add a server, s stop one, k kill -9 one, q quit.

  --check              all acts without a terminal, then a table of them
  --template NAME      HAProxy's template (default slots)
  --engine NAME        who gossips: muster, or a real serf agent beside each agent (default muster)
  --seconds N          length of the check, 35 to 3600 (default 60)
  --rate N             requests per second, 1 to 5000 (default 50, with --check 600)
  -o, --output FORMAT  with --check: text or json, the table as a document

Exit code: 0 it ended as asked, and with --check no request was lost or doubled and traffic followed every act; 1 otherwise,
2 usage, 130 interrupted.

Example:
  $ muster demo --check --seconds 90 -o json
`

/** @throws UsageError */
export function parseDemoOptions(argv: readonly string[]): DemoOptions {
  const values = parsed(argv)
  const check = values.check === true
  const output = formatOf(values)
  if (output === 'json' && !check)
    throw new UsageError('-o json is for --check; without it there is nothing but a screen')
  return {
    check,
    output,
    template: oneOf('template', values.template ?? 'slots', TEMPLATES),
    engine: oneOf('engine', values.engine ?? 'muster', ENGINES),
    help: values.help === true,
    seconds: wholeNumber('seconds', values.seconds ?? '60', 35, 3600),
    ratePerSecond: wholeNumber('rate', values.rate ?? (check ? '600' : '50'), 1, 5000),
  }
}

const text = { type: 'string' } as const
/** As `parseArgs` takes them. */
export const DEMO_OPTIONS = {
  check: { type: 'boolean' },
  ...{ template: text, engine: text, seconds: text, rate: text },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: DEMO_OPTIONS }).values
  } catch (cause) {
    throw new UsageError(messageOf(cause), { cause })
  }
}

function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find(one => one === text)
  if (found === undefined) throw new UsageError(`--${name}: "${text}" is none of ${allowed.join(', ')}`)
  return found
}
