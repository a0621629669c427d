import type { HandledEvent, SerfMember } from '../../serf/index.ts'

/** Who runs the script. */
export interface ScriptSelf {
  readonly name: string
  /** At the time of the call. */
  readonly tags: Readonly<Record<string, string>>
}

/** What Serf adds to a handler's environment. Values are unchanged, newlines and tabs included. */
export function scriptEnvironment(event: HandledEvent, self: ScriptSelf): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [key, value] of Object.entries(self.tags)) environment[`SERF_TAG_${environmentName(key)}`] = value
  environment['SERF_EVENT'] = event.kind
  environment['SERF_SELF_NAME'] = self.name
  environment['SERF_SELF_ROLE'] = roleOf(self.tags)
  if (event.kind === 'user') {
    environment['SERF_USER_EVENT'] = event.name
    environment['SERF_USER_LTIME'] = String(event.ltime)
  }
  if (event.kind === 'query') {
    environment['SERF_QUERY_NAME'] = event.name
    environment['SERF_QUERY_LTIME'] = String(event.ltime)
  }
  return environment
}

/** What Serf writes to a handler's standard input: a line per member, or the payload. */
export function scriptInput(event: HandledEvent): Uint8Array {
  if (event.kind === 'user' || event.kind === 'query') return withNewline(event.payload)
  return Buffer.from(event.members.map(memberLine).join(''))
}

function memberLine(member: SerfMember): string {
  const tags = Object.entries(member.tags).map(([key, value]) => `${key}=${value}`)
  return `${escaped(member.name)}\t${member.ip}\t${escaped(roleOf(member.tags))}\t${escaped(tags.join(','))}\n`
}

/** Only tabs and newlines, so that a line stays a line; Serf leaves backslashes, commas and `=` as they are. */
function escaped(text: string): string {
  return text.replaceAll('\t', '\\t').replaceAll('\n', '\\n')
}

function withNewline(payload: Uint8Array): Uint8Array {
  if (payload.length === 0 || payload.at(-1) === 0x0a) return payload
  return Buffer.concat([payload, Buffer.from('\n')])
}

/** Upper case, then one `_` for every character that is not a letter, digit or `_`. */
function environmentName(key: string): string {
  return Array.from(key, char => {
    const upper = char.toUpperCase()
    return /^[A-Z0-9_]$/.test(upper) ? upper : '_'
  }).join('')
}

function roleOf(tags: Readonly<Record<string, string>>): string {
  return Object.hasOwn(tags, 'role') ? (tags['role'] ?? '') : ''
}
