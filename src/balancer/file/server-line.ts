import { isIP } from 'node:net'
import { ipFromBytes, ipToBytes } from '../../base/index.ts'
import { plainLine } from './config-words.ts'

/** A `server` line taken apart into what HAProxy can change while it runs and what it cannot. */
export interface ServerLine {
  readonly name: string
  /** As HAProxy writes it. Undefined for a host name, a unix path or anything else that is not `ip:port`; then `rest` has the address. */
  readonly ip: string | undefined
  readonly port: number | undefined
  readonly weight: number | undefined
  readonly maxconn: number | undefined
  readonly disabled: boolean
  /** `backend/server` whose state and health this one follows. */
  readonly track: string | undefined
  readonly checked: boolean
  /** An agent of its own may change its weight (`agent-check`). */
  readonly agentChecked: boolean
  /** Every other word, in order: what only a reload can change. */
  readonly rest: string
}

/** What the `default-server` lines above say of every server below them. */
export interface Inherited {
  readonly checks: boolean
  readonly agentChecks: boolean
}

/**
 * @param isCertain it is in force; else it may not be: nobody is taken for checked who may not be, or would wait for a check for ever
 */
export function inheritedWith(words: readonly string[], before: Inherited, isCertain = true): Inherited {
  const [checks, agentChecks] = [saysOf('check', words), saysOf('agent-check', words)]
  if (isCertain) return { checks: checks ?? before.checks, agentChecks: agentChecks ?? before.agentChecks }
  return { checks: before.checks && checks !== false, agentChecks: before.agentChecks || agentChecks === true }
}

/** @returns undefined where the line does not say */
function saysOf(setting: 'check' | 'agent-check', words: readonly string[]): boolean | undefined {
  const last = words.findLast(word => word === setting || word === `no-${setting}`)
  return last === undefined ? undefined : last === setting
}

/** @param quoted of the line, see `Split` */
export function parseServer(words: readonly string[], quoted: string, inherited: Inherited): ServerLine {
  const { ip, port } = parseAddress(words[2] ?? '')
  const rest: string[] = ip === undefined ? [words[2] ?? ''] : []
  const found = { weight: undefined as number | undefined, maxconn: undefined as number | undefined, disabled: false }
  let track: string | undefined
  for (let i = 3; i < words.length; i++) {
    const word = words[i] as string
    const next = words[i + 1] ?? ''
    if (word === 'disabled') found.disabled = true
    else if ((word === 'weight' || word === 'maxconn') && isAmount(word, next)) found[word] = Number(words[++i])
    else rest.push(word)
    if (word === 'track') track = next
  }
  const { checks: checked, agentChecks: agentChecked } = inheritedWith(rest, inherited)
  return { name: words[1] ?? '', ip, port, ...found, track, checked, agentChecked, rest: plainLine(rest) + quoted }
}

/** HAProxy refuses a weight above 256; what it refuses is not for the socket. */
function isAmount(kind: 'weight' | 'maxconn', word: string): boolean {
  return /^\d{1,9}$/.test(word) && (kind === 'maxconn' || Number(word) <= 256)
}

function parseAddress(text: string): { ip: string | undefined; port: number | undefined } {
  const found = /^(?:\[([^\]]+)\]|([^[\]]+?)):(\d{1,5})$/.exec(text)
  const ip = canonical(found?.[1] ?? found?.[2] ?? '')
  const port = Number(found?.[3])
  if (ip === undefined || port < 1 || port > 65_535) return { ip: undefined, port: undefined }
  return { ip, port }
}

/** As `show servers state` has it (inet_ntop), which is compared with it. @returns undefined where the socket cannot say it, either */
function canonical(ip: string): string | undefined {
  const family = isIP(ip)
  if (family === 4) return ip
  const bytes = family === 0 || ip.includes('%') ? undefined : ipToBytes(ip)
  if (bytes === undefined) return undefined
  const dotted = bytes.subarray(12).join('.')
  if (bytes.subarray(0, 10).some(byte => byte !== 0)) return ipFromBytes(bytes)
  if (bytes[10] === 0xff && bytes[11] === 0xff) return `::ffff:${dotted}`
  const isCompatible = bytes[10] === 0 && bytes[11] === 0 && (bytes[12] !== 0 || bytes[13] !== 0)
  return isCompatible ? `::${dotted}` : ipFromBytes(bytes)
}
