/** `muster serf` is Serf's command: recorded runs, scripted agents, and the help. */
import { describe, expect, test } from 'vitest'
import type { MsgpackValue } from '../src/codec/index.ts'
import { type RecordedRun, recordedRuns } from './recorded-runs.ts'
import { DIFFERENT, MONITORS, ours, replayRuns, theirs } from './replayed-runs.ts'
import { ScriptedAgent } from './scripted-agent.ts'

const IP = '127.0.71.1'
const runs = recordedRuns(IP)

describe('asking Serf agents', () => replayRuns('serf', IP))

test('the runs that differ are those in which an agent gets as far as running', () => {
  expect(Object.keys(DIFFERENT).length + MONITORS.size + 142).toBe(148)
})

test('every help text is what the serf command prints', async () => {
  const commands =
    'agent event force-leave info join keygen keys leave members monitor query reachability rtt tags version'
  for (const args of [['-h'], ...commands.split(' ').map(name => [name, '-h'])]) {
    expect(await ours(args)).toEqual(await theirs(args))
  }
})

/** Events as the recording printed them, back in the form of the wire. */
const MEMBER_UPDATE: MsgpackValue = new Map<string, MsgpackValue>([
  ['Event', 'member-update'],
  [
    'Members',
    [
      {
        Addr: Uint8Array.of(0x7f, 0, 0, 1),
        ...{ DelegateCur: 5, DelegateMax: 5, DelegateMin: 2, Name: 'n1', Port: 0x712a },
        ...{ ProtocolCur: 2, ProtocolMax: 5, ProtocolMin: 1, Status: 'alive' },
        Tags: { a: '1', dc: 'east', role: 'web' },
      },
    ],
  ],
])

function fieldValue(text: string): MsgpackValue {
  if (text.startsWith('[]byte')) return Uint8Array.from(text.match(/0x[\da-f]+/g) ?? [], Number)
  return text === '<nil>' ? null : (JSON.parse(text) as MsgpackValue)
}

/** What the agent pushed, in order: a line of its log or an event. */
function pushed(stdout: string): (string | MsgpackValue)[] {
  const items: (string | MsgpackValue)[] = []
  for (const block of stdout.split(/^(?=Event Info:\n|\d{4}\/)/m)) {
    const text = block.replace(/\nRemote side ended[\s\S]*/, '').replace(/\n$/, '')
    const fields = text
      .split('\n')
      .slice(1)
      .map(line => /^\t(\w+): (.*)$/.exec(line))
    if (!text.startsWith('Event Info:')) items.push(text)
    else if (text.includes('Members: ')) items.push(MEMBER_UPDATE)
    else items.push(new Map(fields.map(field => [field?.[1] ?? '', fieldValue(field?.[2] ?? '')])))
  }
  return items
}

for (const i of MONITORS) {
  const run = runs[i] as RecordedRun
  test(`run ${i}: ${run.argv.join(' ')} (${run.note ?? 'then SIGINT'}), from a scripted agent`, async () => {
    let event: ((error: string, ...bodies: MsgpackValue[]) => void) | undefined
    await using agent = await ScriptedAgent.start(IP, (command, say, _body, socket) => {
      say('')
      if (command === 'stream') event = say
      if (command !== 'monitor') return
      for (const item of pushed(run.stdout)) {
        if (typeof item === 'string') say('', { Log: item })
        else event?.('', item)
      }
      if (run.exit === 1) socket.end()
    })
    const found = await ours(['monitor', `-rpc-addr=${agent.rpc}`], {}, run.exit === 1 ? undefined : 300)
    expect(found.stdout).toBe(run.stdout)
    expect([found.exit, found.stderr]).toEqual([run.exit, ''])
  })
}

const member = (name: string, tags: Record<string, string>, status = 'alive', addr = Uint8Array.of(10, 0, 0, 7)) => ({
  ...{ Addr: addr, DelegateCur: 5, DelegateMax: 5, DelegateMin: 2, Name: name, Port: 7946 },
  ...{ ProtocolCur: 2, ProtocolMax: 5, ProtocolMin: 1, Status: status, Tags: tags },
})

const ODD_MEMBERS = [
  member('é日本', { k: 'a<b>&"\\\u2028' }),
  member('a|b c ', { k: ' x ' }, 'leaving'),
  member('six', {}, 'failed', Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
]

/** Says what no recording has: odd names, bytes that are no text, doubled and surplus answers, errors of every command. */
const odd: Record<string, Parameters<typeof ScriptedAgent.start>[1]> = {
  'odd members': (command, say) => {
    if (command.startsWith('members')) say('', { Members: ODD_MEMBERS })
    else say('', { agent: { name: 'é<\u001b' }, tags: {}, 'z z': { b: '1', a: '2\n3' } })
  },
  'doubled acks': (command, say) => {
    if (command === 'members') return say('', { Members: [member('n1', {}), member('n2', {})] })
    say('')
    for (const From of ['n1', 'n2', 'n1']) say('', { From, Payload: null, Type: 'ack' })
    say('', { From: '', Payload: null, Type: 'done' })
  },
  'surplus acks': (command, say) => {
    if (command === 'members') return say('', { Members: [member('n1', {}), member('n2', {}, 'left')] })
    say('')
    for (const From of ['n1', 'n2']) say('', { From, Payload: null, Type: 'ack' })
    say('', { From: '', Payload: null, Type: 'done' })
  },
  'responses of bytes': (command, say) => {
    say('')
    if (command === 'query')
      say('', {
        From: 'n<1',
        Payload: Uint8Array.of(0xff, 0x41, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0x80, 8, 0x7f, 10, 10),
        Type: 'response',
      })
    if (command === 'query') say('', { From: '', Payload: null, Type: 'done' })
  },
  'an agent that goes away': (_command, _say, _body, socket) => void socket.destroy(),
  errors: (command, say) => {
    const record = { Keys: null, Messages: {}, NumErr: 0, NumNodes: 3, NumResp: 1, Num: 0, Coord: {}, Ok: false }
    if (/key|join|coord/.test(command)) say('it<s> off', record)
    else if (/members|stats/.test(command)) say('it<s> off', { Members: [] })
    else say('it<s> off')
  },
  'a lock': (command, say) => say(command === 'handshake' ? '' : 'Authentication required'),
}

const COMMON = ['leave', 'reachability', 'query x', 'event x', 'tags -set a=b', 'monitor']

const asked: Record<string, string[]> = {
  'odd members': ['members', 'members -detailed', 'members -format=json', 'info', 'info -format=json'],
  'doubled acks': ['reachability', 'reachability -verbose'],
  'surplus acks': ['reachability'],
  'responses of bytes': ['query x', 'query -format=json x'],
  'an agent that goes away': [...COMMON, 'members', 'info', 'rtt a', 'keys -list'],
  errors: [...COMMON, 'members', 'rtt a b', 'keys -list', 'keys -use=x', 'join x', 'force-leave x'],
  'a lock': [...COMMON, 'members', 'info', 'rtt a', 'keys -list', 'join x'],
}

for (const [title, script] of Object.entries(odd)) {
  test(`${title}: the same as from the serf command`, async () => {
    await using agent = await ScriptedAgent.start(IP, script)
    for (const words of asked[title] ?? []) {
      const [name = '', ...rest] = words.split(' ')
      const args = [name, `-rpc-addr=${agent.rpc}`, ...rest]
      const [found, wanted] = [await ours(args), await theirs(args)]
      // Serf's client says the one or the other, as it happens, when the agent goes away under a stream.
      const settle = (text: string) =>
        text
          .replaceAll(/\d+\.\d\d sec/g, 'N sec')
          .replace(/127\.0\.71\.1:\d+->/g, '')
          .replace('Stream closed', 'client closed')
      expect([words, { ...found, stdout: settle(found.stdout) }]).toEqual([
        words,
        { ...wanted, stdout: settle(wanted.stdout) },
      ])
    }
  })
}
