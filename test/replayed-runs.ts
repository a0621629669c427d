/** Serf's command, run by run as it was recorded, from `muster serf` against agents of either make. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../src/base/index.ts'
import type { Console } from '../src/cli/serf/console.ts'
import { runSerf } from '../src/cli/serf/run.ts'
import { eventually, Part, part } from './parts.ts'
import { type RecordedRun, recordedRuns } from './recorded-runs.ts'
import { settled } from './settled-runs.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')

/** Runs that do not come out the same, with the reason. */
export const DIFFERENT: Readonly<Record<number, string>> = {
  38: "past its checks the agent is Muster's: a join that fails does not end it",
  48: "past its checks the agent is Muster's: it never gives up joining",
  49: "past its checks the agent is Muster's, with its own log and endings",
}
/** Monitors: what the agent says depends on the clock and the ports of the day, so a scripted agent says it again. */
export const MONITORS = new Set([116, 138, 147])

export interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number
}

/** Our command in this process. @param interruptAfterMs Ctrl-C */
export async function ours(args: readonly string[], env: Record<string, string> = {}, interruptAfterMs?: number) {
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
export function theirs(args: readonly string[]): Promise<Outcome> {
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
const programOf = (kind: 'serf' | 'muster') => (kind === 'serf' ? [part('serf')] : [process.execPath, MUSTER])

const asksAnAgent = ({ argv, env }: RecordedRun) =>
  argv[1] !== 'agent' && (env !== undefined || argv.some(word => word.startsWith('-rpc-addr=')))
/** Registers one test per run, in their order, and a ring of such agents on `ip` around them; call it in a `describe`. */
export function replayRuns(kind: 'serf' | 'muster', ip: string): void {
  const program = programOf(kind)
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
}
