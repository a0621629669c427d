import { type Clock, identify, readProcess, signalProcess } from '../../base/index.ts'
import { showProcesses } from './haproxy-process.ts'
import { askMaster } from './runtime-socket.ts'

/** A worker from before a reload, which serves its connections to their end. */
export interface OldWorker {
  readonly pid: number
  /** Connections that it still has. */
  readonly sessions: number
  /** Since its start. */
  readonly ageMs: number
}

/** As many there may be, unless the configuration says otherwise. */
export const OLD_WORKERS_MAX = 8
const TIMEOUT_MS = 2_000
/** The list is looked at so often while there are any. */
const LOOK_MS = 5_000

/**
 * What reloads leave behind: counted, and bounded. They cannot be told of servers that are taken away (2.6 answers `set server` in a
 * stopping worker with `Proxy is disabled.`): what they still bring to one is counted with its sessions.
 */
export class OldWorkers {
  readonly #master: string
  readonly #clock: Clock
  #list: readonly OldWorker[] = []
  #dueMs = 0
  #mayBe = true

  constructor(master: string, clock: Clock) {
    this.#master = master
    this.#clock = clock
  }

  /** As last seen, the oldest last. */
  get list(): readonly OldWorker[] {
    return this.#list
  }

  /** There was a reload. */
  expect(): void {
    this.#mayBe = true
    this.#dueMs = 0
  }

  /**
   * Looks at them once in a while, and ends the oldest beyond `max`: SIGTERM, which cuts what they still have.
   * @returns those that were ended
   * @throws RuntimeSocketError
   */
  async look(max: number): Promise<readonly OldWorker[]> {
    const nowMs = this.#clock.nowMs()
    if (!this.#mayBe || nowMs < this.#dueMs) return []
    this.#dueMs = nowMs + LOOK_MS
    const { masterPid, oldWorkerPids } = await showProcesses(this.#master, this.#clock)
    const all = await Promise.all(oldWorkerPids.map(pid => this.#describe(pid)))
    const sorted = all.sort((a, b) => a.ageMs - b.ageMs)
    this.#list = sorted.slice(0, max)
    this.#mayBe = sorted.length > 0
    const ended = sorted.slice(max).filter(({ pid }) => endChild(pid, masterPid))
    return ended
  }

  async #describe(pid: number): Promise<OldWorker> {
    const info = await this.#ask(`@!${pid} show info`).catch(() => '') // it has just ended
    const number = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(info)?.[1] ?? 0)
    return { pid, sessions: number('CurrConns'), ageMs: number('Uptime_sec') * 1_000 }
  }

  #ask(line: string): Promise<string> {
    return askMaster(this.#master, line, { timeoutMs: TIMEOUT_MS, clock: this.#clock })
  }
}

/** Only what is the master's child at this moment. */
function endChild(pid: number, masterPid: number): boolean {
  const found = identify(pid)
  if (found === undefined || readProcess(pid)?.parent !== masterPid) return false
  return signalProcess(found, 'SIGTERM')
}
