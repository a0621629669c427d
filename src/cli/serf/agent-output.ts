import type { AgentConfig } from '../../agent/config/index.ts'
import { formatAddress } from '../../base/index.ts'
import type { LogOut } from '../log.ts'
import { type Console, say } from './console.ts'

/** What Serf's agent prints once it runs, as of Serf 0.10. */
export function sayRunning(console: Console, config: AgentConfig): void {
  say(console, '==> Starting Serf agent RPC...')
  say(console, '==> Serf agent running!')
  for (const line of bannerOf(config)) say(console, `    ${line}`)
  const { join, replay } = config.cluster
  if (join.length > 0) say(console, `==> Joining cluster...(replay: ${replay})`)
  say(console, '\n==> Log data will now stream in as it occurs:\n')
}

function bannerOf({ node, cluster }: AgentConfig): string[] {
  const { bind, advertise, rpc, keyring, profile, compress, discovery } = cluster
  const rows: [string, string][] = [
    ['Node name', `'${node.name}'`],
    ['Bind addr', `'${formatAddress(bind)}'`],
    ['Advertise addr', advertise === undefined ? '' : `'${formatAddress(advertise)}'`],
    ['RPC addr', rpc === undefined ? '' : `'${formatAddress(rpc)}'`],
    ['Encrypted', String(keyring !== undefined)],
    ['Snapshot', 'true'], // always: without a path of its own it is in the state directory
    ['Profile', profile],
    ['Message Compression Enabled', String(compress)],
    ['mDNS cluster', discovery?.cluster ?? ''],
  ]
  const said = rows.filter(([, value]) => value !== '')
  return said.map(([label, value]) => `${label === 'Advertise addr' ? label : label.padStart(27)}: ${value}`)
}

/** As many as Serf keeps. */
const LINES_HELD = 512

/** Log lines as Serf's agent prints them: on standard output, four spaces in front, held back until it runs. */
export class HeldLog implements LogOut {
  readonly #write: (text: string) => void
  #held: string[] | undefined = []
  #prefix = '    '

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  write(line: string): void {
    if (this.#held === undefined) this.#write(`${this.#prefix}${line}`)
    else if (this.#held.length < LINES_HELD) this.#held.push(line)
  }

  /** An agent whose lines nobody reads any more goes on, other than the commands. */
  on(event: 'error', listener: () => void): void {
    process.stdout.removeAllListeners(event).on(event, listener)
  }

  /** @param isText false: records for programs, which want no spaces in front */
  open(isText: boolean): void {
    this.#prefix = isText ? this.#prefix : ''
    const held = this.#held ?? []
    this.#held = undefined
    for (const line of held) this.write(line)
  }
}
