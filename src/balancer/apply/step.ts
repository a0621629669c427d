import { createHash } from 'node:crypto'
import type { Attachments } from '../file/attachments.ts'
import { lineMaxconns, serverLines, type Structure, withDisabled } from '../file/config-structure.ts'
import type { Seen } from '../state/seen.ts'
import type { Layout } from '../file/layout.ts'
import { type Command, commandLine, knownDown, payloadOf, type Plan, plan, type Running, type Wanted } from './plan.ts'
import type { Entry } from '../pool/entry.ts'
import type { Roster } from '../pool/roster.ts'
import { leavers } from './wanted.ts'

/** From what runs to what one layout wants: the file, and how it comes into force. */
export interface Step {
  /** The configuration that is wanted; it tells one step from another. */
  readonly text: string
  /** The file as it will be: the same, with those `disabled` that are known to be down. */
  readonly file: string
  readonly config: Structure
  readonly wanted: Wanted
  readonly plan: Plan
}

/** What was seen of HAProxy. */
export interface Ground {
  readonly seen: Seen
  readonly loaded: Structure
  /** Of the files beside the configuration; empty while they are not looked at. */
  readonly attachments: { readonly running: Attachments; readonly wanted: Attachments }
  /** Servers that were released and may still be in HAProxy. */
  readonly released: readonly Entry[]
  /** Whether the socket takes more than a line; default true. */
  readonly takesPayload?: boolean
  /** Reasons for a reload that are not found in what runs. */
  readonly asked?: readonly string[]
}

/** Plans without touching anything. @throws TemplateError when the template fails while it renders */
export function stepFor(layout: Layout, roster: Roster, ground: Ground): Step {
  const { seen, loaded, attachments, released, asked, takesPayload } = ground
  const { text, structure: config, wanted: known } = layout.draw(roster)
  const { servers: live } = seen
  const maxconns = lineMaxconns(loaded)
  const running: Running = {
    config: loaded,
    servers: live,
    maxconns,
    attachments: attachments.running,
    ...(takesPayload === undefined ? {} : { takesPayload }),
  }
  const gone = leavers(live, known, loaded, released)
  const servers = gone.size === 0 ? known : new Map([...known, ...gone])
  const wanted: Wanted = { config, servers, attachments: attachments.wanted }
  const planned = plan(running, wanted, asked)
  return { text, file: withDisabled(text, knownDown(running, wanted)), config, wanted, plan: planned }
}

/** The part of a step that needs no reload: servers that have a line already. */
export function withoutReload({ wanted }: Step, { seen, loaded }: Ground): Plan {
  const known = serverLines(loaded)
  const servers = new Map([...wanted.servers].filter(([key]) => known.has(key) && seen.servers.has(key)))
  return plan({ config: [], servers: seen.servers, maxconns: lineMaxconns(loaded) }, { config: [], servers })
}

/**
 * The same step without what is about these subjects, unless somebody else is behind them by now. A server that is to be out of
 * traffic is taken out all the same: whoever waits for that stops its process.
 * @param subjects servers, files
 */
export function sparing(step: Step, subjects: ReadonlySet<string>): Step {
  const { plan: planned } = step
  if (subjects.size === 0 || planned.kind === 'nothing') return step
  const moved = new Set(commandsOf(planned).flatMap(one => (one.kind === 'addr' ? [one.server] : [])))
  const rest = (commands: readonly Command[]) =>
    commands.filter(one => !subjects.has(subjectOf(one)) || moved.has(subjectOf(one)))
  const restOf = (out: readonly Command[]) => out.filter(one => takesOut(one) || rest([one]).length > 0)
  if (planned.kind === 'reload')
    return { ...step, plan: { ...planned, out: restOf(planned.out), after: restOf(planned.after) } }
  const left = { out: restOf(planned.out), in: rest(planned.in) }
  const isNothing = left.out.length + left.in.length === 0
  return { ...step, plan: isNothing ? { kind: 'nothing' } : { kind: 'runtime', ...left } }
}

function takesOut(command: Command): boolean {
  return command.kind === 'state' && command.to !== 'ready'
}

/**
 * Servers that have to be taken out of traffic, or moved: nobody's change to them is kept. Who is to be drained and was found in
 * maintenance is out already.
 */
export function mustChange(step: Plan): Set<string> {
  const out = step.kind === 'runtime' ? step.out : commandsOf(step)
  const must = [...out.filter(takesOut), ...commandsOf(step).filter(one => one.kind === 'addr')]
  return new Set(must.map(subjectOf))
}

/** Where a server is to be, and whether in traffic; the same for everything else. */
export function standingIn({ wanted }: Step, subject: string): string {
  const server = wanted.servers.get(subject)
  return server === undefined ? '' : `${server.ip} ${server.port} ${server.admin}`
}

/** What a command is about. */
export function subjectOf(command: Command): string {
  return 'server' in command ? command.server : 'path' in command ? command.path : commandLine(command)
}

/** What is sent to the socket, in order; a reload comes between `out` and `after`. */
export function commandsOf(step: Plan): readonly Command[] {
  if (step.kind === 'nothing') return []
  return step.kind === 'runtime' ? [...step.out, ...step.in] : [...step.out, ...step.after]
}

/** The commands as HAProxy reads them. */
export function linesOf(step: Plan): string[] {
  return commandsOf(step).map(commandLine)
}

/** Tells one step from another: the same for the same file, way and commands, payloads included. 12 hexadecimal digits. */
export function idOf({ text, plan: step }: Step): string {
  const reasons = step.kind === 'reload' ? step.reasons : []
  const commands = commandsOf(step).map(command => [commandLine(command), payloadOf(command) ?? ''])
  return createHash('sha256')
    .update(JSON.stringify([text, step.kind, reasons, commands]))
    .digest('hex')
    .slice(0, 12)
}

/** What a worker that somebody else started has forgotten: these were down. @param loaded what it runs */
export function reminders(before: Seen, after: Seen, loaded: Structure): Command[] {
  const lines = serverLines(loaded)
  return [...before.servers].flatMap(([server, old]): Command[] => {
    const now = after.servers.get(server)
    const wasDown = !old.up && old.admin === 'ready' && lines.get(server)?.checked === true
    const isThere = now?.ip === old.ip && now.port === old.port && now.admin === 'ready'
    return wasDown && isThere ? [{ kind: 'health-down', server }] : []
  })
}
