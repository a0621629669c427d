/** Serf's own command, run by run as it was recorded, against Muster agents where the recording had Serf agents. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, Part, part } from './parts.ts'
import { type RecordedRun, recordedRuns } from './recorded-runs.ts'
import { settled } from './settled-runs.ts'

const IP = '127.0.81.1'
const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const runs = recordedRuns(IP)
const asksAnAgent = ({ argv }: RecordedRun) =>
  argv.some(word => word.startsWith(`-rpc-addr=${IP}`)) && argv[1] !== 'agent'

/** Runs that do not come out the same, with the reason. */
const DIFFERENT: Readonly<Record<number, string>> = {
  116: 'the monitor shows our log, in Serf form but in our words',
  138: 'the monitor shows our log, in Serf form but in our words',
  147: 'the monitor shows our log, in Serf form but in our words',
}

interface Outcome {
  readonly stdout: string
  readonly exit: number
}

function serf(args: readonly string[], env: Record<string, string> = {}, interruptAfterMs = 0): Promise<Outcome> {
  return new Promise(done => {
    const options = { env: { ...process.env, ...env }, timeout: interruptAfterMs, killSignal: 'SIGINT' as const }
    execFile(part('serf'), args, options, (failure, stdout) => {
      done({ stdout, exit: failure === null ? 0 : Number(failure.code ?? 1) })
    })
  })
}

const directory = mkdtempSync(join(tmpdir(), 'serf-command-'))
const agents = new Map<string, Part>()

async function startAgent(name: string, port: number, rpcPort: number, ...flags: string[]): Promise<void> {
  const own = [`-node=${name}`, `-bind=${IP}:${port}`, `-rpc-addr=${IP}:${rpcPort}`]
  const state = { MUSTER_STATE_DIR: join(directory, name, 's'), MUSTER_RUN_DIR: join(directory, name, 'r') }
  agents.set(name, new Part([process.execPath, MUSTER, 'agent', ...own, ...flags], state))
  const auth = name === 'au' ? ['-rpc-auth=sekret'] : []
  await eventually(
    () => serf(['members', `-rpc-addr=${IP}:${rpcPort}`, ...auth]),
    ({ exit }) => exit === 0,
  )
}

async function startN2(): Promise<void> {
  const handler = '-event-handler=query:load=printf "a\\nb"'
  await startAgent('n2', 28971, 28394, '-tag=role=db', handler, `-join=${IP}:28970`)
}

async function statusOf(name: string, status: string): Promise<void> {
  const ask = () => serf(['members', `-rpc-addr=${IP}:28393`, `-name=${name}`, `-status=${status}`])
  await eventually(ask, ({ stdout }) => stdout.startsWith(name))
}

beforeAll(async () => {
  const handlers = ['-event-handler=query:load=echo 1.5', '-event-handler=user:deploy=true']
  const keys = ['-encrypt=AAECAwQFBgcICQoLDA0ODw==']
  const auth = join(directory, 'auth.json')
  writeFileSync(auth, '{"rpc_auth":"sekret"}')
  await startAgent('n1', 28970, 28393, '-tag=role=web', '-tag=dc=east', ...handlers)
  await Promise.all([
    startN2(),
    startAgent('n3', 28972, 28395),
    startAgent('k1', 28973, 28396, ...keys),
    startAgent('au', 28975, 28398, `-config-file=${auth}`),
  ])
  await startAgent('k2', 28974, 28397, ...keys, `-join=${IP}:28973`)
  await statusOf('n2', 'alive')
})

afterAll(async () => {
  await Promise.all([...agents.values()].map(agent => agent.end('SIGKILL')))
  rmSync(directory, { recursive: true, force: true })
})

/** What was done to the ring before a run. */
const before: Readonly<Record<number, () => Promise<unknown>>> = {
  56: () => statusOf('n3', 'alive'),
  94: () =>
    eventually(
      () => serf(['rtt', `-rpc-addr=${IP}:28393`, 'n2', 'n3']),
      ({ exit }) => exit === 0,
    ),
  121: async () => {
    await agents.get('n3')?.end('SIGKILL')
    await statusOf('n3', 'failed')
  },
  125: () => statusOf('n3', 'left'),
  129: () => statusOf('n2', 'left'),
  130: async () => agents.get('n2')?.exited,
  146: async () => {
    await startN2()
    await statusOf('n2', 'alive')
    agents.get('n2')?.child.kill('SIGSTOP')
  },
}

for (const [i, run] of runs.entries()) {
  if (!asksAnAgent(run) || i in DIFFERENT) continue
  const words = run.argv.map(word => (word.length > 60 ? `${word.slice(0, 20)}…` : word)).join(' ')
  test(`run ${i}: ${words}${run.note === undefined ? '' : ` (${run.note})`}`, async () => {
    await before[i]?.()
    const found = await serf(run.argv.slice(1), run.env, run.note === 'SIGINT after 1 s' ? 1000 : 0)
    const stdout = run.stdout.replace(/<remainder of the help text: \d+ bytes>$/, '')
    if (stdout !== run.stdout)
      return expect([found.exit, found.stdout.slice(0, stdout.length)]).toEqual([run.exit, stdout])
    expect([found.exit, settled(run, found.stdout)]).toEqual([run.exit, settled(run, run.stdout)])
  })
}
