/**
 * The recorded connections of real clients with a real agent, played again: the client's bytes go in, our agent's answers and
 * pushed records must be the recorded ones, byte for byte.
 */
import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Clock, silentLog } from '../../base/index.ts'
import {
  asMap,
  asText,
  type Decoded,
  decodeMsgpack,
  encodeMsgpack,
  Float64,
  type MsgpackValue,
  Raw,
} from '../../codec/index.ts'
import { coordinateFromRecord } from '../coordinate.ts'
import type { SerfEvent } from '../events.ts'
import type { RpcBackend, RpcQueryAnswer } from './backend.ts'
import { RpcDispatcher } from './dispatch.ts'
import { bytesField, type Fields, membersFromFields, textField, textMapField, uintField } from './records.ts'
import { type RpcRequest, RpcSession } from './session.ts'

interface Line {
  readonly dir: 'c>s' | 's>c'
  readonly hex?: string
  readonly decoded?: readonly Record<string, unknown>[]
}
const file = new URL('../../../test/vectors/serf-rpc.json', import.meta.url)
const { sessions } = JSON.parse(readFileSync(file, 'utf8')) as { sessions: { name: string; lines: Line[] }[] }
const bytesOf = (line: Line) => Buffer.from(line.hex ?? '', 'hex')
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** The msgpack values in a stretch of the stream. */
function values(bytes: Uint8Array): { hex: string; fields: Fields }[] {
  const found: { hex: string; fields: Fields }[] = []
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = decodeMsgpack(bytes, at)
    found.push({ hex: hexOf(bytes.subarray(at, end)), fields: asMap(value) })
    at = end
  }
  return found
}

/** One line of the client with all that the agent sent until its next one. */
interface Exchange {
  readonly request: Line
  readonly answer: { readonly error: string; readonly body: Fields | undefined; readonly records: readonly Fields[] }
  readonly sent: readonly { hex: string; fields: Fields }[]
}

function exchanges(lines: readonly Line[]): Exchange[] {
  const starts = lines.flatMap((line, at) => (line.dir === 'c>s' && line.hex !== undefined ? [at] : []))
  return starts.map((start, i) => {
    const answers = lines.slice(start + 1, starts[i + 1]).filter(line => line.dir === 's>c')
    const sent = values(Buffer.concat(answers.map(bytesOf)))
    const [header, second] = sent
    const body = second?.fields.has('Error') === false ? second.fields : undefined
    const rest = sent.slice(body === undefined ? 1 : 2)
    const records = rest.filter((_, at) => at % 2 === 1).map(({ fields }) => fields)
    const error = header === undefined ? '' : textField(header.fields, 'Error')
    return { request: lines[start] as Line, answer: { error, body, records }, sent }
  })
}

/** An agent that does what the recorded one did, one exchange after the other. */
class RecordedAgent implements RpcBackend {
  nowMs = 0
  #now: Exchange['answer'] = { error: '', body: undefined, records: [] }
  #listener: ((event: SerfEvent) => void) | undefined
  readonly clock: Clock = { nowMs: () => this.nowMs, wallMs: () => 0, after: () => ({ cancel() {} }) }
  readonly logs = {
    recent: () =>
      this.#now.records.flatMap(r => ['2026/11/20 09:43:12 [TRACE] below every level', textField(r, 'Log')]),
    onLine: () => () => {},
  }

  expect(answer: Exchange['answer']): void {
    this.#now = answer
    if (answer.error === 'No pending queries matching ID') this.nowMs += 1_000_000
  }

  /** What the recorded agent pushed by itself. */
  emit(): void {
    for (const record of this.#now.records) if (record.has('Event')) this.#listener?.(this.#eventOf(record))
  }

  members = () => membersFromFields(this.#body())
  tags = () => ({})
  stats = () =>
    Object.fromEntries(
      Array.from(this.#body(), ([key, section]) => [key, Object.fromEntries(textsOf(asMap(section)))] as const),
    )
  async join() {
    const refused = this.#now.error.matchAll(
      /^\t\* Failed to join (\S+): dial tcp (\S+): connect: connection refused$/gm,
    )
    const cause = { code: 'ECONNREFUSED', syscall: 'connect' }
    const errors = Array.from(refused, ([, address = '', peer]) => {
      return { address, error: new Error(`${peer}: connect ECONNREFUSED ${peer}`, { cause }) }
    })
    return { contacted: uintField(this.#body(), 'Num', 1000), errors }
  }
  leave = () => this.#act()
  forceLeave = () => this.#act()
  userEvent = () => this.#act()
  setTags = () => this.#act()
  onEvent(listener: (event: SerfEvent) => void) {
    this.#listener = listener
    return () => (this.#listener = undefined)
  }
  async query(): Promise<AsyncIterable<RpcQueryAnswer>> {
    await this.#act()
    const { records } = this.#now
    const isDone = (record: Fields) => textField(record, 'Type') === 'done'
    return (async function* () {
      for (const record of records) {
        if (isDone(record)) return
        const kind = textField(record, 'Type') as 'ack' | 'response'
        yield { kind, from: textField(record, 'From'), payload: bytesField(record, 'Payload') }
      }
    })()
  }
  coordinate() {
    return this.#body().get('Ok') === true ? coordinateFromRecord(this.#body().get('Coord')) : undefined
  }
  async keys() {
    const body = this.#body()
    const keys = body.get('Keys') === null ? undefined : new Map(Array.from(asMap(body.get('Keys')), numbered))
    const count = (name: string) => uintField(body, name, 1000)
    const numbers = { errors: count('NumErr'), members: count('NumNodes'), answers: count('NumResp') }
    const messages = textMapField(body, 'Messages')
    return { error: this.#now.error, keys, primaryKeys: new Map(), messages, ...numbers }
  }

  #body(): Fields {
    return this.#now.body ?? new Map()
  }

  async #act(): Promise<void> {
    const { error } = this.#now
    if (error !== '') throw new Error(error.replace('failed to respond to key query: ', ''))
  }

  #eventOf(record: Fields): SerfEvent {
    const kind = textField(record, 'Event')
    if (kind.startsWith('member-')) return { kind: kind as 'member-join', members: membersFromFields(record) }
    const name = textField(record, 'Name')
    const [payload, ltime] = [bytesField(record, 'Payload'), uintField(record, 'LTime', 1e9)]
    if (kind === 'user') return { kind: 'user', name, payload, ltime, coalesce: record.get('Coalesce') === true }
    const deadlineMs = this.nowMs + 1000
    return { kind: 'query', name, payload, ltime, id: 1, sourceNode: '', deadlineMs, respond: () => this.#act() }
  }
}

const textsOf = (fields: Fields) => Array.from(fields, ([key, text]) => [key, asText(text)] as const)
const numbered = ([key, count]: [string, Decoded]): [string, number] => [key, count as number]

/** With the keys of every map sorted: the recorded agent wrote maps of data in random order. */
function canonical(value: Decoded): MsgpackValue {
  if (value instanceof Raw) return value.text
  if (Array.isArray(value)) return value.map(canonical)
  if (!(value instanceof Map)) return value as null | boolean | number | bigint | Uint8Array | Float64
  return new Map([...value].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, canonical(item)]))
}
const canonicalHex = (fields: Fields) => hexOf(encodeMsgpack(canonical(fields as Map<string, Decoded>), 'new'))

/** Plays a connection until it ends. @returns what was asked of the agent */
async function played(name: string, lines: readonly Line[]): Promise<RpcRequest[]> {
  const agent = new RecordedAgent()
  const out: Uint8Array[] = []
  const session = new RpcSession(name.startsWith('auth') ? 'sekret' : '')
  const deps = { clock: agent.clock, log: silentLog }
  const dispatcher = new RpcDispatcher(agent, deps, bytes => out.push(bytes) > 0)
  const asked: RpcRequest[] = []
  for (const { request, answer, sent } of exchanges(lines)) {
    agent.expect(answer)
    out.length = 0
    session.receive(bytesOf(request))
    for (let step = session.next(); step.kind !== 'wait'; step = session.next()) {
      if (step.kind === 'perform') {
        asked.push(step.request)
        const performed = await dispatcher.perform(step.request).catch(() => undefined) // then the connection closes
        if (performed === undefined) break
        out.push(performed.bytes)
        performed.afterwards?.()
      } else if (step.bytes !== undefined) out.push(step.bytes)
      if (step.kind === 'close') break
    }
    agent.emit()
    for (let turns = 0; turns < 50 && values(Buffer.concat(out)).length < sent.length; turns++) await turn()
    const ours = values(Buffer.concat(out))
    expect(ours.map(({ fields }) => canonicalHex(fields))).toEqual(sent.map(({ fields }) => canonicalHex(fields)))
    const isStats = (fields: Fields) => fields.has('runtime')
    const exact = (all: typeof sent) => all.filter(({ fields }) => !isStats(fields)).map(({ hex }) => hex)
    expect(exact(ours)).toEqual(exact(sent))
  }
  dispatcher.end()
  return asked
}

for (const { name, lines } of sessions) {
  test(`the recorded connection "${name}" is answered with the recorded bytes`, async () => {
    await played(name, lines)
  })
}

test('every recorded request is read field by field', async () => {
  const seen = new Set<string>()
  for (const { name, lines } of sessions) {
    const bodies = lines.filter(({ dir, hex }) => dir === 'c>s' && hex !== undefined).map(({ decoded = [] }) => decoded)
    const asked = await played(name, lines)
    for (const request of asked) {
      const at = bodies.findIndex(([h]) => h?.['Seq'] === request.seq && h['Command'] === request.command)
      const [written] = bodies.splice(at, 1)
      expect(shown(request), name).toEqual(fieldsOf(request.command, written?.[1] ?? {}))
      seen.add(request.command)
    }
  }
  expect([...seen].sort()).toEqual([
    ...['event', 'force-leave', 'get-coordinate', 'install-key', 'join', 'leave', 'list-keys', 'members'],
    ...['members-filtered', 'monitor', 'query', 'remove-key', 'respond', 'stats', 'stop', 'stream', 'tags', 'use-key'],
  ])
})

/** Bytes as hex and maps as records, as the recording writes them. */
function shown(request: RpcRequest): unknown {
  return JSON.parse(
    JSON.stringify(request, (key, value: unknown) => {
      if (key === 'seq') return undefined
      if (value instanceof Map) return Object.fromEntries(value)
      return value instanceof Uint8Array ? hexOf(value) : value
    }),
  )
}

type Written = Readonly<Record<string, unknown>>
/** A request whose old client wrote bytes as text is recorded as text. */
const hexIn = (value: unknown) =>
  typeof value === 'string' ? hexOf(Buffer.from(value)) : ((value as { $bytes: string } | null)?.$bytes ?? '')

function fieldsOf(command: string, w: Written): unknown {
  const fields: Readonly<Record<string, () => Written>> = {
    event: () => ({ name: w['Name'], payload: hexIn(w['Payload']), coalesce: w['Coalesce'] }),
    'force-leave': () => ({ node: w['Node'], prune: w['Prune'] ?? false }),
    'get-coordinate': () => ({ node: w['Node'] }),
    join: () => ({ addresses: w['Existing'], replay: w['Replay'] }),
    'members-filtered': () => ({ name: w['Name'] ?? '', status: w['Status'] ?? '', tags: w['Tags'] ?? {} }),
    monitor: () => ({ level: w['LogLevel'] }),
    query: () => ({
      ...{ name: w['Name'], payload: hexIn(w['Payload']), relayFactor: w['RelayFactor'] ?? 0 },
      ...{ filterNodes: w['FilterNodes'] ?? [], filterTags: w['FilterTags'] ?? {} },
      ...{ requestAck: w['RequestAck'] ?? false, timeoutMs: Number(w['Timeout'] ?? 0) / 1e6 },
    }),
    respond: () => ({ handle: w['ID'], payload: hexIn(w['Payload']) }),
    stop: () => ({ stop: w['Stop'] }),
    stream: () => ({ filters: w['Type'] }),
    tags: () => ({ set: w['Tags'] ?? {}, remove: w['DeleteTags'] ?? [] }),
  }
  const isKey = ['install-key', 'use-key', 'remove-key'].includes(command)
  return { command, ...(isKey ? { key: w['Key'] } : fields[command]?.()) }
}

test('what the real command line wrote is written again to the same bytes from its fields', () => {
  let requests = 0
  for (const { lines } of sessions.filter(({ name }) => name.startsWith('cli '))) {
    for (const line of lines.filter(({ dir }) => dir === 'c>s')) {
      for (const { hex, fields } of values(bytesOf(line))) {
        expect(canonicalHex(fields)).toBe(hex)
        requests++
      }
    }
  }
  expect(requests).toBe(68)
})
