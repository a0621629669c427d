/** What the parts of a test stand on: processes that end with it, and the network between them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { part } from './parts.ts'

const run = promisify(execFile)
/** The first process: reaps orphans, and ends, with all others, when its standard input does. */
const INIT = 'exec 3<&0; cat <&3 >/dev/null & echo up; wait $!'

/** Where hosts are, and how a program comes to be on one of them. */
export interface Ground extends AsyncDisposable {
  ip(host: number): string
  /** Where clients in the test's own process find host 1, whatever is cut between the hosts. */
  readonly siteIp: string
  /** The first words of a command that runs on a host. */
  enter(host: number): readonly string[]
}

/** One process namespace, so that nothing outlives the test, not what an agent leaves running on purpose either. */
export class Space implements AsyncDisposable {
  /** The first words of a command that runs in it. */
  readonly enter: readonly string[]
  readonly #init: ChildProcess

  private constructor(ownNetwork: boolean) {
    const isRoot = process.getuid?.() === 0
    const flags = ['-pf', '--kill-child', '--mount-proc', ...(ownNetwork ? ['-n'] : []), ...(isRoot ? [] : ['-Ur'])]
    this.#init = spawn(part('unshare'), [...flags, 'sh', '-c', INIT], { stdio: ['pipe', 'pipe', 'inherit'] })
    const spaces = `/proc/${this.pid}/ns`
    const user = isRoot ? [] : [`--user=${spaces}/user`, '--preserve-credentials']
    const net = ownNetwork ? [`--net=${spaces}/net`] : []
    const others = [`--pid=${spaces}/pid_for_children`, `--mount=${spaces}/mnt`]
    this.enter = [part('nsenter'), ...user, ...others, ...net, '--']
  }

  /** @param ownNetwork also a network of its own, with nothing in it yet */
  static async open(options: { readonly ownNetwork: boolean }): Promise<Space> {
    const space = new Space(options.ownNetwork)
    if (space.#init.stdout !== null) await once(space.#init.stdout, 'data')
    return space
  }

  /** A process in its namespaces, as the test's own process numbers it. */
  get pid(): number {
    return this.#init.pid as number
  }

  /** Runs a command in it. @returns what it printed */
  async exec(...command: string[]): Promise<string> {
    const [program, ...argv] = [...this.enter, ...command]
    return (await run(program as string, argv)).stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#init.exitCode !== null || this.#init.signalCode !== null) return
    const ended = once(this.#init, 'exit')
    this.#init.stdin?.end()
    await ended
  }
}

/** Hosts that are loopback addresses: quick, and no link of them can be cut. */
export class Loopback implements Ground {
  readonly #net: string
  readonly #space: Space

  private constructor(net: string, space: Space) {
    this.#net = net
    this.#space = space
  }

  /** @param net the first three numbers of its addresses, of no other test: `127.0.41` */
  static async open(net: string): Promise<Loopback> {
    return new Loopback(net, await Space.open({ ownNetwork: false }))
  }

  ip(host: number): string {
    return `${this.#net}.${host}`
  }

  get siteIp(): string {
    return this.ip(1)
  }

  enter(): readonly string[] {
    return this.#space.enter
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#space[Symbol.asyncDispose]()
  }
}
