/** The commands as people type them, each a process of its own, against a real Serf agent. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, Part, part } from './parts.ts'

const MUSTER = resolve(import.meta.dirname, '../bin/muster')
const IP = '127.0.72.1'
const RPC = `${IP}:7373`
const env = { SERF_RPC_ADDR: RPC }
let agent: Part

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number
}

function run(file: string, ...args: string[]): Promise<Outcome> {
  return new Promise(done =>
    execFile(process.execPath, [file, ...args], { env: { ...process.env, ...env } }, (failure, stdout, stderr) => {
      done({ stdout, stderr, exit: failure === null ? 0 : Number(failure.code) })
    }),
  )
}

const muster = (...args: string[]) => run(MUSTER, ...args)

beforeAll(async () => {
  const handler = '-event-handler=query:load=printf "a\\nb"'
  const own = ['-node=n1', `-bind=${IP}:7946`, `-rpc-addr=${RPC}`, '-tag=role=web', handler]
  agent = new Part([part('serf'), 'agent', ...own])
  await eventually(
    () => agent.output,
    output => output.includes('Log data will now stream in'),
  )
})

afterAll(async () => void (await agent.end('SIGKILL')))

test('data goes to standard output, chatter to standard error, and -o json gives a document', async () => {
  expect(await muster('members')).toEqual({ stdout: `n1  ${IP}:7946  alive  role=web\n`, stderr: '', exit: 0 })
  expect(await muster('event', '-coalesce=false', 'deploy', 'v1')).toEqual({
    ...{ stdout: '', stderr: "Event 'deploy' dispatched! Coalescing enabled: false\n", exit: 0 },
  })
  expect(await muster('query', '-timeout', '300ms', 'load')).toEqual({
    stdout: "Response from 'n1': a\nb\n",
    stderr: "Query 'load' dispatched\nAck from 'n1'\nTotal Acks: 1\nTotal Responses: 1\n",
    exit: 0,
  })
  const documents = [
    ['query', '-timeout=300ms', 'load', '-o', 'json'],
    ['tags', '-set', 'a=b', '-o', 'json'],
    ['tags', '-delete', 'a', '-o', 'json'],
    ['rtt', 'n1', '-o', 'json'],
    ['force-leave', 'nobody', '-o', 'json'],
  ]
  const answers: unknown[] = []
  for (const words of documents) answers.push(JSON.parse((await muster(...words)).stdout)) // the later ones undo the earlier
  expect(answers.slice(0, 3)).toEqual([
    { Acks: ['n1'], Responses: { n1: 'a\nb' } },
    { tags: { role: 'web', a: 'b' } },
    { tags: { role: 'web' } },
  ])
  expect(answers.slice(3)).toMatchObject([
    { from: 'n1', to: 'n1' },
    { node: 'nobody', pruned: false },
  ])
})

test('exit status: 1 failed, 2 usage, 3 nobody there; each with what to do on standard error', async () => {
  const [keys, usage, format, nobody] = await Promise.all([
    muster('keys', '-list'),
    muster('members', '-nam', 'x'),
    muster('info', '-o', 'xml'),
    muster('members', `-rpc-addr=${IP}:7374`),
  ])
  expect([keys, usage, format, nobody].map(({ exit, stdout }) => [exit, stdout])).toEqual([
    [1, ''],
    [2, ''],
    [2, ''],
    [3, ''],
  ])
  expect(keys.stderr).toContain('n1  Keyring is empty (encryption not enabled)')
  expect(usage.stderr).toContain('Did you mean --name?')
  expect(nobody.stderr).toContain('is it running')
})

test('a monitor and a watch follow until Ctrl-C, then end with 0', async () => {
  const watch = new Part([process.execPath, MUSTER, 'members', '-watch'], env)
  const monitor = new Part([process.execPath, MUSTER, 'monitor', '-o', 'json'], env)
  const serfMonitor = new Part([process.execPath, MUSTER, 'serf', 'monitor', '-log-level=err'], env)
  const heard = (one: Part, text: string) =>
    eventually(
      () => one.output,
      output => output.includes(text),
    )
  await Promise.all([heard(watch, 'n1'), heard(monitor, 'starting')])
  await muster('tags', '-set', 'release=7')
  await Promise.all([
    heard(watch, 'updated'),
    heard(monitor, '"event":"member-update"'),
    heard(serfMonitor, 'Event: "member-update"'),
  ])
  expect(watch.output).toMatch(/^n1 {2}127\.0\.72\.1:7946 {2}alive {2}role=web\n\S+Z {2}n1 {2}updated .*release=7/)
  expect(await Promise.all([watch, monitor, serfMonitor].map(one => one.end('SIGINT')))).toEqual([0, 0, 0])
})

test("a link named serf is Serf's command, also to its exit status", async () => {
  const directory = mkdtempSync(join(tmpdir(), 'serf-link-'))
  symlinkSync(MUSTER, join(directory, 'serf'))
  const link = (...args: string[]) => run(join(directory, 'serf'), ...args)
  const found = await Promise.all([link('members', '-name=zzz'), link('nosuch'), link('members', '-nosuch')])
  rmSync(directory, { recursive: true })
  expect(found[0]).toEqual({ stdout: '\n', stderr: '', exit: 0 })
  expect(found.map(({ exit }) => exit)).toEqual([0, 127, 1])
  expect(found[2]?.stderr).toBe('flag provided but not defined: -nosuch\n')
})

test('output that cannot be written is said and fails; a reader who has gone is a broken pipe, without words', () => {
  const shell = (line: string) =>
    spawnSync('bash', ['-c', line, 'bash', process.execPath, MUSTER], { encoding: 'utf8' })
  const full = shell('"$1" "$2" version > /dev/full')
  expect([full.status, full.stderr]).toEqual([1, expect.stringContaining('the output could not be written')])
  for (const words of ['version', 'members --help', 'completion bash']) {
    const gone = shell(`exec 3> >(exec true); wait $!; "$1" "$2" ${words} >&3`)
    expect([gone.status, gone.stderr]).toEqual([141, ''])
  }
})
