/** The values of `muster.yaml`: what each kind takes, and the words in which it refuses the rest. */
import { isIP } from 'node:net'
import * as z from 'zod'
import { type Address, parseHostPort } from '../../../base/index.ts'
import { parseDuration } from '../duration.ts'

/** Names become tags, files and lines of HAProxy's configuration: nothing that could break out of any of them. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/
const NAME_RULE = 'letters, digits, - and _, starting with a letter or digit, at most 48'

/** Comes out in milliseconds. */
export const duration = (defaultText: string, meaning: string) =>
  z
    .string('takes a duration such as 30s, 300ms or 1h10m')
    .transform((text, context) => {
      const ms = parseDuration(text)
      if (ms !== undefined) return ms
      const message = `"${text}" is not a duration; write 30s, 300ms or 1h10m`
      context.issues.push({ code: 'custom', message, input: text })
      return z.NEVER
    })
    .describe(`${meaning} Default ${defaultText}.`)

export const address = (defaultPort: number, meaning: string) =>
  z
    .string('takes an address such as 10.0.0.1:7946')
    .transform((text, context) => {
      const found = readAddress(text, defaultPort)
      if (found !== undefined) return found
      const message = `"${text}" is not an address; write 10.0.0.1, 10.0.0.1:${defaultPort} or [::1]:${defaultPort}`
      context.issues.push({ code: 'custom', message, input: text })
      return z.NEVER
    })
    .describe(meaning)

/** An IP address with or without a port, `:port` for every interface; `localhost` is 127.0.0.1. */
export function readAddress(text: string, defaultPort: number): Address | undefined {
  const found = parseHostPort(text.startsWith(':') && !text.startsWith('::') ? `0.0.0.0${text}` : text, defaultPort)
  if (found === undefined) return undefined
  const ip = found.host === 'localhost' ? '127.0.0.1' : found.host
  return isIP(ip) === 0 ? undefined : { ip, port: found.port }
}

export const peer = z
  .string('takes an address such as 10.0.0.2 or seed.example.org:7946')
  .refine(text => parseHostPort(text, 7946) !== undefined, 'is not an address; write host, host:port or [ipv6]:port')

export const port = z
  .int('takes a port number, 1 to 65535')
  .min(1, 'a port is 1 to 65535')
  .max(65535, 'a port is 1 to 65535')
/** 0 or more. */
export const count = (max: number) => z.int('takes a whole number').min(0).max(max)
export const text = z.string('takes text')
export const line = text.regex(/^[^\0\r\n]*$/, 'must be one line')
export const flag = z.boolean('takes true or false')
/** One or several; a single one may stand alone. */
export const listOf = <T extends z.ZodType>(item: T) =>
  z.union([item.transform(one => [one]), z.array(item)], { error: issue => `takes one or a list${because(issue)}` })
/** A map whose keys are names. */
export const named = <T extends z.ZodType>(value: T) => z.record(text.regex(NAME, `a name is ${NAME_RULE}`), value)
export const poolName = text.regex(NAME, `a pool's name is ${NAME_RULE}`)
/** Whether HAProxy understands HTTP, or passes bytes on as they are. */
export const mode = z.enum(['http', 'tcp'], 'takes http or tcp')
/** A path that becomes one word of a configuration line. */
export const wordPath = line.regex(
  /^[A-Za-z0-9_.:@/,=+-]{1,255}$/,
  'takes a path of letters, digits and _ . : @ / , = + -',
)

/** Why the first branch of a union refused, when it was of the right kind. */
function because(issue: { input?: unknown }): string {
  return typeof issue.input === 'string' ? `; "${issue.input}" is not allowed` : ''
}
