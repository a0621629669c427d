/** Serf's command, run by run as it was recorded, from `muster serf` against agents of both makes. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../src/base/index.ts'
import type { Console } from '../src/cli/serf/console.ts'
import { runSerf } from '../src/cli/serf/run.ts'
import type { MsgpackValue } from '../src/codec/index.ts'
import { eventually, Part, part } from './parts.ts'
import { type RecordedRun, recordedRuns } from './recorded-runs.ts'
import { ScriptedAgent } from './scripted-agent.ts'
import { settled } from './settled-runs.ts'

const IP = '127.0.71.1'
const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const runs = recordedRuns(IP)

/** Runs that do not come out the same, with the reason. */
const DIFFERENT: Readonly<Record<number, string>> = {
  38: "past its checks the agent is Muster's: a join that fails does not end it",
  48: "past its checks the agent is Muster's: it never gives up joining",
  49: "past its checks the agent is Muster's, with its own log and endings",
}
/** Monitors: what the agent says depends on the clock and the ports of the day, so a scripted agent says it again. */
const MONITORS = new Set([116, 138, 147])

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number
}

/** Our command in this process. @param interruptAfterMs Ctrl-C */
async function ours(args: readonly string[], env: Record<string, string> = {}, interruptAfterMs?: number) {
  let stdout = ''
  let stderr = ''
  const quitting = new AbortController()
  const timer = systemClock.after(interruptAfterMs ?? 60_000, () => quitting.abort())
  const console: Console = {
    out: text => void (stdout += typeof text === 'string' ? text : Buffer.from(text).toString()),
    err: text => void (stderr += text),
    ...{ env, clock: systemClock, interrupted: () => quitting.signal },
  }
  const exit = await runSerf(args, console)
  timer.cancel()
  return { stdout, stderr, exit }
}

/** Runs in which an agent starts, if only to fail: in a process of its own. */
const AGENT_STARTS = new Set([143, 144])

function asProcess(args: readonly string[]): Promise<Outcome> {
  const state = mkdtempSync(join(tmpdir(), 'serf-cli-agent-'))
  const env = { ...process.env, MUSTER_STATE_DIR: `${state}/s`, MUSTER_RUN_DIR: `${state}/r` }
  return new Promise(done =>
    execFile(process.execPath, [MUSTER, 'serf', ...args], { env }, (failure, stdout, stderr) => {
      rmSync(state, { recursive: true, force: true })
      done({ stdout, stderr, exit: failure === null ? 0 : Number(failure.code) })
    }),
  )
}

/** Serf's own. */
function theirs(args: readonly string[]): Promise<Outcome> {
  return new Promise(done =>
    execFile(part('serf'), args, (failure, stdout, stderr) => {
      done({ stdout, stderr, exit: failure === null ? 0 : Number(failure.code) })
    }),
  )
}
/** Help texts are recorded with their first line and the number of bytes that follow, from that line's end on. */
function expectHelp(text: string, recorded: string): void {
  const [, head = '', bytes] = /^([\s\S]*)<remainder of the help text: (\d+) bytes>$/.exec(recorded) ?? []
  expect(text.slice(0, head.length)).toBe(head)
  expect(text.length - head.length + 1).toBe(Number(bytes))
}

/** The agent that the command asks is one or the other; it must not tell them apart. */
const PROGRAMS = { serf: [part('serf')], muster: [process.execPath, MUSTER] } as const

const asksAnAgent = ({ argv, env }: RecordedRun) =>
  argv[1] !== 'agent' && (env !== undefined || argv.some(word => word.startsWith('-rpc-addr=')))

describe.each([
  ['serf', IP],
  ['muster', '127.0.71.2'],
] as const)('asking %s agents', (kind, ip) => {
  const program = PROGRAMS[kind]
  const directory = mkdtempSync(join(tmpdir(), 'serf-cli-'))
  const agents = new Map<string, Part>()

  async function startAgent(name: string, port: number, rpcPort: number, ...flags: string[]): Promise<void> {
    const own = [`-node=${name}`, `-bind=${ip}:${port}`, `-rpc-addr=${ip}:${rpcPort}`]
    const state = { MUSTER_STATE_DIR: join(directory, name, 's'), MUSTER_RUN_DIR: join(directory, name, 'r') }
    agents.set(name, new Part([...program, 'agent', ...own, ...flags], state))
    const auth = name === 'au' ? ['-rpc-auth=sekret'] : []
    await eventually(
      () => ours(['members', `-rpc-addr=${ip}:${rpcPort}`, ...auth]),
      ({ exit }) => exit === 0,
    )
  }

  async function startN2(): Promise<void> {
    const handler = '-event-handler=query:load=printf "a\\nb"'
    await startAgent('n2', 28971, 28394, '-tag=role=db', handler, `-join=${ip}:28970`)
  }

  async function statusOf(name: string, status: string): Promise<void> {
    const ask = () => ours(['members', `-rpc-addr=${ip}:28393`, `-name=${name}`, `-status=${status}`])
    await eventually(ask, ({ stdout }) => stdout.startsWith(name))
  }

  beforeAll(async () => {
    const handlers = ['-event-handler=query:load=echo 1.5', '-event-handler=user:deploy=true']
    await startAgent('n1', 28970, 28393, '-tag=role=web', '-tag=dc=east', ...handlers)
    const keys = ['-encrypt=AAECAwQFBgcICQoLDA0ODw==']
    const auth = join(directory, 'auth.json')
    writeFileSync(join(directory, 'ring0.json'), '[]')
    writeFileSync(auth, '{"rpc_auth":"sekret"}')
    await Promise.all([
      startN2(),
      startAgent('n3', 28972, 28395),
      startAgent('k1', 28973, 28396, ...keys),
      startAgent('au', 28975, 28398, `-config-file=${auth}`),
    ])
    await startAgent('k2', 28974, 28397, ...keys, `-join=${ip}:28973`)
    await statusOf('n2', 'alive')
  })

  afterAll(async () => {
    await Promise.all([...agents.values()].map(agent => agent.end('SIGKILL')))
    rmSync(directory, { recursive: true, force: true })
  })

  /** What was done to the ring before a run. */
  const before: Readonly<Record<number, () => Promise<void>>> = {
    56: () => statusOf('n3', 'alive'),
    94: () => coordinatesKnown(),
    121: async () => {
      await agents.get('n3')?.end('SIGKILL')
      await statusOf('n3', 'failed')
    },
    125: () => statusOf('n3', 'left'),
    129: () => statusOf('n2', 'left'),
    130: async () => void (await agents.get('n2')?.exited),
    146: async () => {
      await startN2()
      await statusOf('n2', 'alive')
      agents.get('n2')?.child.kill('SIGSTOP')
    },
  }

  async function coordinatesKnown(): Promise<void> {
    const ask = () => ours(['rtt', `-rpc-addr=${ip}:28393`, 'n2', 'n3'])
    await eventually(ask, ({ exit }) => exit === 0)
  }

  /** The recordings name two keyring files without a directory. */
  function inDirectory(args: readonly string[]): string[] {
    return args.map(word => word.replace(/^(-keyring-file=)(?=\w)/, `$1${directory}/`))
  }

  for (const [i, run] of recordedRuns(ip).entries()) {
    if (i in DIFFERENT || MONITORS.has(i) || (kind === 'muster' && !asksAnAgent(run))) continue
    const words = run.argv.map(word => (word.length > 60 ? `${word.slice(0, 20)}…` : word)).join(' ')
    test(`run ${i}: ${words}${run.note === undefined ? '' : ` (${run.note})`}`, async () => {
      await before[i]?.()
      const found = await (AGENT_STARTS.has(i) ? asProcess : ours)(
        inDirectory(run.argv.slice(1)),
        run.env,
        run.note === 'SIGINT after 1 s' ? 1000 : undefined,
      )
      expect(found.exit).toBe(run.exit)
      for (const stream of ['stdout', 'stderr'] as const) {
        const recorded = run[stream] ?? ''
        if (recorded.endsWith(' bytes>')) expectHelp(found[stream], recorded)
        else expect(settled(run, found[stream])).toBe(settled(run, recorded))
      }
    })
  }
})

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

const asked: Record<string, string[]> = {
  'odd members': ['members', 'members -detailed', 'members -format=json', 'info', 'info -format=json'],
  'doubled acks': ['reachability', 'reachability -verbose'],
  'surplus acks': ['reachability'],
  'responses of bytes': ['query x', 'query -format=json x'],
  'an agent that goes away': [
    'members',
    'info',
    'rtt a',
    'keys -list',
    'leave',
    'reachability',
    'query x',
    'event x',
    'tags -set a=b',
    'monitor',
  ],
  errors: [
    'members',
    'rtt a b',
    'keys -list',
    'keys -use=x',
    'leave',
    'reachability',
    'query x',
    'event x',
    'tags -set a=b',
    'monitor',
    'join x',
    'force-leave x',
  ],
  'a lock': [
    'members',
    'info',
    'rtt a',
    'keys -list',
    'leave',
    'reachability',
    'query x',
    'event x',
    'tags -set a=b',
    'monitor',
    'join x',
  ],
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
