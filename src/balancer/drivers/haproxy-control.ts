import { rm, stat } from 'node:fs/promises'
import { type Clock, type Log, messageOf, replaceFile, writeFileAtomic } from '../../base/index.ts'
import { type Attachment, type Attachments, parseFingerprint, parseShown, type Reference } from '../file/attachments.ts'
import { bindAddresses, parseStructure, type Structure } from '../file/config-structure.ts'
import { endpointOf } from '../server.ts'
import { commandLine, type Command, payloadOf } from '../apply/plan.ts'
import { assertDone, parseFigures, parseServersState } from '../state/runtime-state.ts'
import { Seen } from '../state/seen.ts'
import { StatesReader } from '../state/states-reader.ts'
import { BindError, RuntimeSocketError } from '../errors.ts'
import {
  assertAccepted,
  type Haproxy,
  installChecked,
  readIfThere,
  refusalOf,
  reload,
  showProcesses,
} from './haproxy-process.ts'
import { OldWorkers } from './old-workers.ts'
import { reviveMaster } from './lost-sockets.ts'
import { assertBindable } from './test-bind.ts'
import { askMaster, masterSession, openRuntimeSession, type RuntimeSession } from './runtime-socket.ts'

const TIMEOUT_MS = 2_000

/** All of /proc is read, and the processes that it is about may just be starting. */
const REVIVE_SPACING_MS = 3_000

export interface Paths {
  readonly config: string
  readonly admin: string
  readonly master: string
  readonly peers: string
}

/** The hands of the balancer: HAProxy's file, its two sockets, its reloads. One caller at a time. */
export class HaproxyControl {
  readonly #haproxy: Haproxy
  readonly #paths: Paths
  readonly #clock: Clock
  readonly #log: Log
  /** What reloads have left behind. */
  readonly oldWorkers: OldWorkers
  readonly #states = new StatesReader()
  #fileText: string | undefined
  /** The last of them that is our own: whatever somebody else wrote after it, this one can be gone back to. */
  #ownText: string | undefined
  /** Tells the file that `fileText` is from one that somebody else wrote. */
  #fileMark: string | undefined
  #workerPid: number | undefined
  #loaded: Structure = []
  /** Some file tells what the worker loaded. */
  #isKnown = false
  #recordFailure: string | undefined
  #throughMaster = false
  /** The worker's own could not be opened when it was last tried. */
  #isSocketLost = false
  #reviveAtMs = Number.NEGATIVE_INFINITY
  #serversText: string | undefined

  constructor(haproxy: Haproxy, paths: Paths, clock: Clock, log: Log) {
    this.#log = log
    this.#haproxy = haproxy
    this.#paths = paths
    this.#clock = clock
    this.oldWorkers = new OldWorkers(paths.master, clock)
  }

  /** What the worker runs, but for what the socket can change. */
  get loaded(): Structure {
    return this.#loaded
  }

  /** Whether a certificate can be sent: the master's socket, which stands in where the worker has none, takes a line and no more. */
  get takesPayload(): boolean {
    return !this.#throughMaster && !this.#isSocketLost
  }

  /** Why what was loaded last is not on record; undefined when it is. */
  get recordFailure(): string | undefined {
    return this.#recordFailure
  }

  get masterSocket(): string {
    return this.#paths.master
  }

  get workerPid(): number | undefined {
    return this.#workerPid
  }

  /** Last content of the file that is known. */
  get fileText(): string | undefined {
    return this.#fileText
  }

  /** The file of a former agent, if any. @throws the system's error */
  async readFile(): Promise<string | undefined> {
    this.#fileMark = await markOf(this.#paths.config)
    this.#fileText = await readIfThere(this.#paths.config)
    this.#ownText = this.#fileText
    return this.#fileText
  }

  /**
   * Asks the worker for its servers. Another worker than last time has loaded what is on the disk: someone else reloaded,
   * or HAProxy was restarted.
   * @throws RuntimeSocketError
   */
  async look(wantsFigures: boolean): Promise<Seen> {
    return this.#withSession(async session => {
      const [workerPid, shown, stat] = await Promise.all([
        pidOf(session),
        session.command('show servers state'),
        wantsFigures ? session.command('show stat -1 4 -1') : undefined,
      ])
      if (workerPid !== this.#workerPid) await this.#adoptWorker(workerPid)
      const figures = stat === undefined ? undefined : parseFigures(stat)
      return new Seen(workerPid, this.#states.read(shown), this.#loaded, figures)
    })
  }

  /**
   * Sends commands in one short transaction to the worker that was looked at.
   * @throws RuntimeSocketError: another worker by now, an unknown reply, no answer; some may have been done: look again
   */
  async send(commands: readonly Command[]): Promise<void> {
    if (commands.length === 0) return
    await this.#withSession(async session => {
      if ((await pidOf(session)) !== this.#workerPid) throw new RuntimeSocketError('HAProxy was reloaded meanwhile')
      const sent = commands.map(command => session.command(commandLine(command), payloadOf(command)))
      const replies = await Promise.all(sent)
      for (const command of commands) this.#log.debug({ command: commandLine(command) }, 'sent to HAProxy')
      for (const [i, command] of commands.entries()) assertDone(command, replies[i] ?? '')
    })
  }

  /**
   * What the worker has of these files; those that it does not tell of are left out.
   * @throws RuntimeSocketError
   */
  async attachments(references: readonly Reference[]): Promise<Attachments> {
    if (references.length === 0) return new Map()
    return this.#withSession(async session => {
      const found = new Map<string, Attachment>()
      for (const { kind, path } of references) {
        if (kind === 'other') continue
        const shown = kind === 'certificate' ? 'ssl cert' : kind
        const reply = await session.command(`show ${shown} ${path}`)
        const attachment = kind === 'certificate' ? certificateIn(reply) : parseShown(kind, reply)
        if (attachment !== undefined) found.set(path, attachment)
      }
      return found
    })
  }

  /** `ip:port` → requests and sessions that former workers still carry after reloads. What bounds their number is `OldWorkers`. */
  async oldSessions(): Promise<Map<string, number>> {
    const sums = new Map<string, number>()
    const { oldWorkerPids } = await showProcesses(this.#paths.master, this.#clock)
    for (const pid of oldWorkerPids) {
      const ask = (line: string) =>
        askMaster(this.#paths.master, `@!${pid} ${line}`, { timeoutMs: TIMEOUT_MS, clock: this.#clock })
      const states = parseServersState(await ask('show servers state'))
      for (const [key, { sessions }] of parseFigures(await ask('show stat -1 4 -1'))) {
        const state = states.get(key)
        if (state !== undefined) sums.set(endpointOf(state), (sums.get(endpointOf(state)) ?? 0) + sessions)
      }
    }
    return sums
  }

  /**
   * The servers that were put into a user's template, for the next agent: its lines do not tell them from the user's own.
   * @throws the system's error
   */
  async rememberServers(servers: readonly unknown[]): Promise<void> {
    const text = `${JSON.stringify(servers)}\n`
    if (text !== this.#serversText) await writeFileAtomic(`${this.#paths.config}.servers`, text)
    this.#serversText = text
  }

  /** What a former agent remembered; unchecked, and undefined when there is nothing that can be read. */
  async rememberedServers(): Promise<unknown[] | undefined> {
    const text = await readIfThere(`${this.#paths.config}.servers`).catch(() => undefined)
    try {
      const found: unknown = JSON.parse(text ?? 'null')
      return Array.isArray(found) ? found : undefined
    } catch {
      return undefined // half a file of another program's making: as good as none
    }
  }

  /**
   * Replaces the file when only server lines changed, made of validated values: no `haproxy -c` (30 ms). A power cut may bring the one
   * before back, which is as good: HAProxy then starts anew, and so does the agent. @throws the system's error
   */
  async write(text: string): Promise<void> {
    if (text === this.#fileText) return
    await replaceFile(this.#paths.config, text)
    await this.#wrote(text)
  }

  /**
   * The file, where somebody else has written it since. @throws the system's error
   */
  async editedFile(): Promise<string | undefined> {
    const mark = await markOf(this.#paths.config)
    if (mark === this.#fileMark) return undefined
    const text = await readIfThere(this.#paths.config).catch(() => undefined) // a directory, another's file: as if gone
    if (text !== undefined && text !== this.#fileText) return text
    this.#fileMark = mark
    this.#fileText = text // gone: it is written anew
    return undefined
  }

  /** Keeps what somebody else wrote beside the file, which is then written anew. @returns why it could not be kept */
  async setAside(edited: string): Promise<string | undefined> {
    this.#fileText = undefined // so that ours is written whatever it says
    return failureOf(writeFileAtomic(`${this.#paths.config}.edited`, edited))
  }

  async #wrote(text: string): Promise<void> {
    this.#fileText = text
    this.#ownText = text
    this.#fileMark = await markOf(this.#paths.config)
  }

  /** Whether HAProxy would take it. Nothing is changed. @throws ConfigRefusedError, BindError */
  async check(text: string): Promise<void> {
    await this.#assertBindable(text)
    await assertAccepted(this.#haproxy, this.#paths.config, text)
  }

  /** Why HAProxy would not load this file, in its own words where it has any; undefined when it would. Nothing is changed. */
  async refusalOf(text: string): Promise<string | undefined> {
    const words = await refusalOf(this.#haproxy, this.#paths.config, text)
    if (words !== undefined) return words
    try {
      await this.#assertBindable(text)
      return undefined
    } catch (failure) {
      if (failure instanceof BindError) return failure.message
      throw failure
    }
  }

  async #assertBindable(text: string): Promise<void> {
    const wanted = bindAddresses(parseStructure(text))
    await assertBindable(wanted, this.#isKnown ? bindAddresses(this.#loaded) : wanted.map(anyAddress))
  }

  /** After commands: the process and the file say the same. */
  assume(structure: Structure): void {
    this.#loaded = structure
  }

  /** Checks and replaces the file. @throws ConfigRefusedError: the old one is untouched */
  async install(text: string): Promise<void> {
    await installChecked(this.#haproxy, this.#paths.config, text)
    await this.#wrote(text)
  }

  /**
   * A hitless reload of a new file. A file that HAProxy checks but cannot load (a bind, say) is taken back, since a crash
   * would not come back from it.
   * @returns the new worker's pid
   * @throws ConfigRefusedError, ReloadFailedError, BindError: the old worker serves on with the old file
   */
  async reload(text: string, signal?: AbortSignal): Promise<number> {
    const before = this.#fileText ?? this.#ownText
    await this.#assertBindable(text)
    await this.install(text)
    try {
      const workerPid = await reload(this.#paths.master, this.#clock, signal)
      await this.#remember(workerPid, text)
      return workerPid
    } catch (failure) {
      if (before !== undefined) await this.write(before)
      throw failure
    }
  }

  /**
   * Brings back the way to an HAProxy whose sockets were deleted; tries once in a while.
   * @returns its pid when it was told to make them anew
   * @throws RuntimeSocketError when it may not be signalled
   */
  async revive(): Promise<number | undefined> {
    const nowMs = this.#clock.nowMs()
    if (nowMs < this.#reviveAtMs) return undefined
    this.#reviveAtMs = nowMs + REVIVE_SPACING_MS
    return reviveMaster(this.#paths.master)
  }

  /** HAProxy, which has ended, leaves the files of its sockets behind. @throws the system's error */
  async removeSockets(): Promise<void> {
    const { admin, master, peers } = this.#paths
    await Promise.all([admin, master, peers].map(path => rm(path, { force: true })))
  }

  /** The first look after a start or at an HAProxy that was running already. */
  async attach(): Promise<void> {
    await this.readFile()
    const { workerPid = 0 } = await showProcesses(this.#paths.master, this.#clock)
    await this.#adoptWorker(workerPid)
  }

  /** The worker loaded `<config>.loaded` if that names its pid, else what the file said when it started: the file itself. */
  async #adoptWorker(workerPid: number): Promise<void> {
    this.oldWorkers.expect()
    const record = await readIfThere(this.#recordPath())
    const text =
      record?.startsWith(`# worker ${workerPid}\n`) === true
        ? record
        : await readIfThere(this.#paths.config).catch(() => undefined)
    this.#isKnown = text !== undefined
    this.#loaded = parseStructure(text ?? '')
    if (text !== undefined && record !== text) await this.#remember(workerPid, text)
    this.#workerPid = workerPid
    this.#throughMaster = !this.#hasSocket()
  }

  /** Without the record (a full disk) the next agent takes the file for what was loaded, as it does where the pid differs. */
  async #remember(workerPid: number, text: string): Promise<void> {
    this.oldWorkers.expect()
    this.#workerPid = workerPid
    this.#loaded = parseStructure(text)
    this.#throughMaster = !this.#hasSocket()
    this.#isKnown = true
    this.#recordFailure = await failureOf(writeFileAtomic(this.#recordPath(), `# worker ${workerPid}\n${text}`))
  }

  /** The worker's own; without it a former worker would answer there. */
  #hasSocket(): boolean {
    const line = `stats socket ${this.#paths.admin}`
    return this.#loaded.some(({ lines }) => lines.some(one => one === line || one.startsWith(`${line} `)))
  }

  #recordPath(): string {
    return `${this.#paths.config}.loaded`
  }

  async #withSession<T>(work: (session: RuntimeSession) => Promise<T>): Promise<T> {
    const options = { timeoutMs: TIMEOUT_MS, clock: this.#clock }
    const own = this.#throughMaster
      ? undefined
      : await openRuntimeSession(this.#paths.admin, options).catch(() => undefined)
    this.#isSocketLost = own === undefined
    const session = own ?? masterSession(this.#paths.master, options)
    try {
      return await work(session)
    } finally {
      session.close()
    }
  }
}

/** Inode, size and time of change: another one has perhaps another content. */
async function markOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found === undefined ? undefined : `${found.ino} ${found.size} ${found.mtimeNs}`
}

function certificateIn(reply: string): Attachment | undefined {
  const fingerprint = parseFingerprint(reply)
  return fingerprint === undefined ? undefined : { kind: 'certificate', fingerprint, pem: undefined }
}

function failureOf(work: Promise<void>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (failure: unknown) => messageOf(failure),
  )
}

/** A port that HAProxy may well hold itself: nothing tells what it listens on. */
function anyAddress(address: string): string {
  return `*:${/:(\d+)$/.exec(address)?.[1] ?? ''}`
}

async function pidOf(session: RuntimeSession): Promise<number> {
  const found = /^Pid: (\d+)/m.exec(await session.command('show info'))
  if (found === null) throw new RuntimeSocketError('HAProxy does not tell its pid')
  return Number(found[1])
}
