import { parseArgs } from 'node:util'
import { parseDuration } from '../../agent/config/duration.ts'
import { messageOf } from '../../base/index.ts'
import { type Kind, KINDS } from '../../prove/index.ts'
import { formatOf, type Format } from '../output.ts'
import { UsageError } from '../usage-error.ts'
import { wholeNumber } from '../whole-number.ts'

export const SCENARIOS = ['churn', 'reload', 'crash', 'agent', 'haproxy', 'drain'] as const
export type ScenarioName = (typeof SCENARIOS)[number]

/** What both forms share. */
interface LoadOptions {
  /** Requests per second of each kind. */
  readonly rate: number
  readonly kinds: readonly Kind[]
  readonly timeoutMs: number
  readonly socketLifeMs: number
  readonly output: Format
}

/** A load on somebody's site while a command runs. */
export interface RunOptions extends LoadOptions {
  readonly url: string
  readonly socketPath: string
  readonly serverHeader: string
  readonly echo: boolean
  readonly insecure: boolean
  /** Files and addresses. */
  readonly ledgers: readonly string[]
  /** After the command. */
  readonly tailMs: number
  /** Undefined: `durationMs` of nothing but load. */
  readonly command: readonly string[] | undefined
  readonly durationMs: number
}

/** A tier of our own and what is done to it. */
export interface ScenarioOptions extends LoadOptions {
  readonly scenario: ScenarioName
  readonly durationMs: number
  /** HAProxy's: built in, or a file of the tier's own; undefined: as the scenario has it. */
  readonly template: 'slots' | 'file' | undefined
  /** Undefined: drawn. */
  readonly seed: number | undefined
}

export type ProveCommand =
  | { readonly kind: 'help' }
  /** A word of COMMAND's to the prover that runs it. */
  | { readonly kind: 'tell'; readonly words: readonly string[] }
  | ({ readonly kind: 'run' } & RunOptions)
  | ({ readonly kind: 'scenario' } & ScenarioOptions)

/** What COMMAND may tell; the same words as on the command line. */
export const WORDS = ['mark', 'kill-begins', 'kill-ends'] as const
export const SOCKET_VARIABLE = 'PROVE_SOCKET'
const RATE_MAX = 5000
const SEED_MAX = 2 ** 32 - 1

export const HELP = `Puts a load and a ledger around any operation, and says what became of every single request.

usage: muster prove --url URL [options] -- COMMAND …   load on a site while COMMAND runs
       muster prove --url URL --duration 60s           load only
       muster prove SCENARIO [options]                 a tier of its own on this machine, and what is done to it:
                                                       ${SCENARIOS.join(', ')}
       muster prove mark NAME                          in COMMAND: the act that begins now, a row of the table
       muster prove kill-begins [SERVER]               in COMMAND: SERVER is about to be killed or frozen
       muster prove kill-ends [SERVER]                 in COMMAND: it is gone, or back

The load is open loop, four kinds of clients: close (a new connection per request), keep-alive, post (each with an id, as
?id= and x-request-id), websocket (echo, connections of up to 10 s). In the table *lost* is sent without a good answer,
*doubled* a POST that ran twice (as the servers' ledgers tell) or an echo that came twice, *unknown* what was in flight at a
kill or freeze and must not be sent again: a POST, or a message over a WebSocket to that very server.

  --url URL            the site, http or https; 200 to 399 is a good answer
  --rate N             requests per second of each kind, 1 to ${RATE_MAX}; default 50, scenarios 300
  --kinds LIST         what the site supports, of ${KINDS.join(',')}; default close,keep-alive, scenarios all
  --duration T         without COMMAND, and of scenarios: such as 60s, the default
  --timeout T          an answer that takes longer is lost; default 15s
  --ledger FILE|URL    what servers have executed: a file of theirs, or http://SERVER/.muster/ledger (library muster/ledger);
                       repeatable; without it nothing is proved about doubled POSTs
  --ws-path PATH       where the WebSockets are; default /ws
  --ws-life T          how long a WebSocket lives at most; default 10s
  --server-header H    the answer header in which a server names itself; default x-backend-name
  --echo               a good answer contains the request's id
  --insecure           any certificate will do
  --tail T             quiet load after COMMAND; default 2s
  --seed N             scenarios: the same acts again
  --template NAME      scenarios: HAProxy's template: the built-in slots, or file, as people own one
  -o, --output FORMAT  text or json; COMMAND's own output then goes to standard error

COMMAND speaks through the unix socket in ${SOCKET_VARIABLE}: lines such as "mark NAME", each answered with "ok" or a reason.

Exit code: 0 when nothing was lost or doubled and every unknown request was in flight at a kill or freeze, and COMMAND
succeeded; 1 otherwise, 2 usage, 130 interrupted (the table so far is printed). More: docs/proving.md

examples: muster prove --url http://10.0.0.1/ --kinds close,keep-alive,post --ledger /srv/executed -- ./deploy.sh
          muster prove churn --duration 10m --rate 300 --seed 7`

/** @param args with two dashes. @throws UsageError */
export function readProve(args: readonly string[]): ProveCommand {
  const border = args.indexOf('--')
  const own = border < 0 ? args : args.slice(0, border)
  if ((WORDS as readonly string[]).includes(own[0] ?? '')) return tellOf(own)
  const { values, positionals } = parsed(own)
  if (values.help === true || args.length === 0) return { kind: 'help' }
  const [scenario, ...more] = positionals
  if (more.length > 0) throw new UsageError(`a command is written behind --, not ${more.join(' ')}${SEE}`)
  const command = border < 0 ? undefined : args.slice(border + 1)
  return scenario === undefined ? runOf(values, command) : scenarioOf(scenario, values, command)
}

const SEE = '; see muster prove --help'
type Values = ReturnType<typeof parsed>['values']

function tellOf(words: readonly string[]): ProveCommand {
  if (words[0] === 'mark' && words[1] === undefined) throw new UsageError(`mark: the act needs a name${SEE}`)
  return { kind: 'tell', words }
}

function runOf(values: Values, command: readonly string[] | undefined): ProveCommand {
  const { url, duration } = values
  if (url === undefined || !/^https?:$/.test(protocolOf(url)))
    throw new UsageError(
      `--url: ${url === undefined ? 'the site is wanted' : `"${url}" is no http:// or https://`}${SEE}`,
    )
  for (const flag of ['seed', 'template'] as const)
    if (values[flag] !== undefined) throw new UsageError(`--${flag} is for scenarios${SEE}`)
  if (command !== undefined && command.length === 0) throw new UsageError(`behind -- a command is wanted${SEE}`)
  if (command !== undefined && duration !== undefined) throw new UsageError('--duration is for a load without COMMAND')
  const kinds = kindsOf(values.kinds ?? 'close,keep-alive')
  return {
    kind: 'run',
    url,
    command,
    ...shared(values, 50, kinds),
    durationMs: durationOf('duration', duration ?? '60s', 1000),
    tailMs: durationOf('tail', values.tail ?? '2s', 0),
    socketPath: values['ws-path'] ?? '/ws',
    serverHeader: (values['server-header'] ?? 'x-backend-name').toLowerCase(),
    echo: values.echo === true,
    insecure: values.insecure === true,
    ledgers: values.ledger ?? [],
  }
}

function scenarioOf(name: string, values: Values, command: readonly string[] | undefined): ProveCommand {
  const scenario = SCENARIOS.find(one => one === name)
  if (scenario === undefined) throw new UsageError(`"${name}" is none of ${SCENARIOS.join(', ')}${SEE}`)
  if (command !== undefined) throw new UsageError(`${name} does its own acts: no COMMAND behind it${SEE}`)
  for (const flag of OF_RUNS) {
    if (values[flag] !== undefined) throw new UsageError(`--${flag} is for a site of yours, not for ${name}${SEE}`)
  }
  return {
    kind: 'scenario',
    scenario,
    ...shared(values, 300, kindsOf(values.kinds ?? KINDS.join(','))),
    durationMs: durationOf('duration', values.duration ?? '60s', 10_000),
    template: templateOf(values.template, scenario),
    seed: wholeNumber('seed', values.seed, 0, SEED_MAX),
  }
}

function templateOf(text: string | undefined, scenario: ScenarioName): 'slots' | 'file' | undefined {
  if (text === undefined) return undefined
  if (text !== 'slots' && text !== 'file') throw new UsageError(`--template: "${text}" is none of slots, file`)
  if (text === 'slots' && scenario === 'reload') throw new UsageError('reload breaks a template file; it has no other')
  return text
}

const OF_RUNS = ['url', 'ws-path', 'server-header', 'echo', 'insecure', 'ledger', 'tail'] as const

function shared(values: Values, rate: number, kinds: readonly Kind[]): LoadOptions {
  return {
    rate: wholeNumber('rate', values.rate, 1, RATE_MAX) ?? rate,
    kinds,
    timeoutMs: durationOf('timeout', values.timeout ?? '15s', 100),
    socketLifeMs: durationOf('ws-life', values['ws-life'] ?? '10s', 100),
    output: formatOf(values),
  }
}

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
/** As `parseArgs` takes them. */
export const PROVE_OPTIONS = {
  ...{
    rate: text,
    kinds: text,
    duration: text,
    timeout: text,
    'ws-life': text,
    tail: text,
    seed: text,
    template: text,
  },
  ...{ url: text, 'ws-path': text, 'server-header': text, echo: flag, insecure: flag },
  ledger: { type: 'string', multiple: true },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: PROVE_OPTIONS })
  } catch (cause) {
    throw new UsageError(`${messageOf(cause)}${SEE}`, { cause })
  }
}

function protocolOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : ''
}

function kindsOf(text: string): Kind[] {
  const words = text.split(',')
  const wrong = words.find(word => !(KINDS as readonly string[]).includes(word))
  if (wrong !== undefined) throw new UsageError(`--kinds: "${wrong}" is none of ${KINDS.join(', ')}`)
  return KINDS.filter(kind => words.includes(kind))
}

function durationOf(flag: string, text: string, minMs: number): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= minMs) return ms
  throw new UsageError(`--${flag}: "${text}" is not a duration such as 10s, at least ${minMs} ms`)
}
