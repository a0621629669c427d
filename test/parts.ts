/** Real parts for tests that cross rooms: agents of both makes as processes, asked by the commands that people type. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const MUSTER = resolve(import.meta.dirname, '../bin/muster')

/** A program of Debian's, wherever it was put. @throws with what to install */
export function part(name: string): string {
  const found = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']
    .map(dir => join(dir, name))
    .find(existsSync)
  if (found === undefined)
    throw new Error(`${name} is missing: apt-get install ${name} (scripts/packages.txt has the list)`)
  return found
}

/** Asks again and again until the answer satisfies. @throws with the last answer when `withinMs` have passed */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  isGood: (answer: T) => boolean,
  withinMs = 20_000,
  pauseMs = 50,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    const answer = await Promise.resolve()
      .then(ask)
      .catch((error: Error) => error)
    if (!(answer instanceof Error) && isGood(answer)) return answer
    if (performance.now() > deadlineMs)
      throw new Error(`not within ${withinMs} ms; the last answer was ${inspect(answer)}`)
    await pause(pauseMs)
  }
}

function inspect(answer: unknown): string {
  return answer instanceof Error ? answer.message : JSON.stringify(answer, null, 1)
}

/** One process of a test. It dies with the test process, also when that is killed. */
export class Part {
  readonly child: ChildProcess
  output = ''
  readonly exited: Promise<number | null>

  constructor(command: readonly string[], env: Record<string, string> = {}) {
    const argv = ['--pdeathsig', 'KILL', ...command]
    this.child = spawn(part('setpriv'), argv, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (text: Buffer) => this.#hear(text))
    this.exited = new Promise(done => this.child.once('exit', code => done(code)))
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal)
    return await this.exited
  }

  #hear(text: Buffer): void {
    this.output = (this.output + text.toString()).slice(-100_000)
  }
}

export interface RingAgent {
  readonly kind: 'serf' | 'muster'
  readonly name: string
  readonly address: string
  readonly rpc: string
  readonly part: Part
}

/** Several agents on loopback addresses, each on its own, with one directory that is gone afterwards. */
export class Ring implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'ring-'))
  readonly agents = new Map<string, RingAgent>()
  readonly #net: string
  readonly #flags: readonly string[]

  /** @param net the first three numbers of the agents' addresses, one per test file: `127.0.31` */
  constructor(net: string, flags: readonly string[] = []) {
    this.#net = net
    this.#flags = flags
  }

  addressOf(host: number): string {
    return `${this.#net}.${host}:7946`
  }

  /** @param given `-join=…` means for `serf` that it goes on trying, see `joiningPatiently` */
  async start(kind: 'serf' | 'muster', name: string, host: number, given: readonly string[] = []): Promise<RingAgent> {
    const rpc = `${this.#net}.${host}:7373`
    const flags = kind === 'serf' ? joiningPatiently(given) : given
    const common = [
      'agent',
      `-node=${name}`,
      `-bind=${this.addressOf(host)}`,
      `-rpc-addr=${rpc}`,
      ...this.#flags,
      ...flags,
    ]
    const command = kind === 'serf' ? [part('serf'), ...common] : [process.execPath, MUSTER, ...common]
    const own = join(this.directory, `${name}.${host}`)
    const agent: RingAgent = {
      ...{ kind, name, rpc },
      address: this.addressOf(host),
      part: new Part(command, { MUSTER_STATE_DIR: `${own}/s`, MUSTER_RUN_DIR: `${own}/r` }),
    }
    this.agents.set(name, agent)
    await eventually(
      () => members(agent, 'serf'),
      list => list.length > 0,
    )
    return agent
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.agents.values()].map(agent => agent.part.end('SIGKILL')))
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/**
 * With `-join` an agent of Serf whose first answer is late has ended, and in the quick profile late is a second: nothing to
 * build on where the processors are busy. Only `-join=…` in one word is replaced.
 */
function joiningPatiently(flags: readonly string[]): string[] {
  return flags.flatMap(flag =>
    flag.startsWith('-join=') ? [flag.replace('-join=', '-retry-join='), '-retry-interval=1s'] : [flag],
  )
}

/** One row of `members`. */
export interface MemberRow {
  readonly name: string
  readonly addr: string
  readonly status: string
  readonly tags: Readonly<Record<string, string>>
}

/** What an agent says of the ring, by either command. */
export async function members(agent: RingAgent, by: 'serf' | 'muster'): Promise<MemberRow[]> {
  const ask = ['members', '-format=json', `-rpc-addr=${agent.rpc}`]
  const [command, ...argv] = by === 'serf' ? [part('serf'), ...ask] : [process.execPath, MUSTER, ...ask]
  const { stdout } = await run(command as string, argv, { timeout: 10_000 })
  const rows = (JSON.parse(stdout) as { members: MemberRow[] | null }).members ?? []
  return rows
    .map(({ name, addr, status, tags }) => ({ name, addr, status, tags }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Runs a Serf command against an agent. @returns what it printed */
export async function serf(agent: RingAgent, ...argv: string[]): Promise<string> {
  const [command, ...rest] = argv
  const { stdout } = await run(part('serf'), [command as string, `-rpc-addr=${agent.rpc}`, ...rest], {
    timeout: 15_000,
  })
  return stdout
}
