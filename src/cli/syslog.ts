import { type ChildProcess, spawn } from 'node:child_process'
import { type Clock, messageOf } from '../base/index.ts'
import { messageText } from './log.ts'

/** Serf's severities: DEBUG is info, INFO notice. */
const SEVERITIES: Readonly<Record<number, number>> = { 10: 7, 20: 6, 30: 5, 40: 4, 50: 3, 60: 3 }
/** Serf's tag, which existing rules of a syslog server look for. */
const TAG = 'serf'
const AGAIN_MS = 10_000
/** What `logger` may be behind by; more is lost, and not kept in memory. */
const BEHIND_BYTES_MAX = 1 << 20
const CLOSE_MS = 1_000

/**
 * Lines to the host's syslog, through util-linux' `logger`: Node has no datagram sockets of the local kind. It runs as long as
 * the agent, and is started again when it ends.
 */
export class Syslog {
  /** Told once why lines are lost. */
  onFailure: (reason: string) => void = () => undefined
  readonly #facility: number
  readonly #clock: Clock
  #logger: ChildProcess | undefined
  #startedAtMs = Number.NEGATIVE_INFINITY
  #hasFailed = false

  /** @param facility its number, 0 to 23 */
  constructor(facility: number, deps: { readonly clock: Clock }) {
    this.#facility = facility
    this.#clock = deps.clock
  }

  /** One record of the log; never throws. */
  write(level: number, record: string): void {
    const stdin = this.#running()?.stdin
    if (stdin == null || stdin.destroyed) return
    if (stdin.writableLength > BEHIND_BYTES_MAX) return this.#failed('logger is behind by more than a mebibyte')
    const priority = 8 * this.#facility + (SEVERITIES[level] ?? 5)
    stdin.write(`<${priority}>${messageText(record)}\n`)
  }

  /** Hands on what is left, for a second at most; a logger that hangs does not hold this process. */
  async close(): Promise<void> {
    const logger = this.#logger
    if (logger === undefined || logger.exitCode !== null) return
    await new Promise<void>(resolve => {
      const timer = this.#clock.after(CLOSE_MS, resolve)
      logger.once('close', () => {
        timer.cancel()
        resolve()
      })
      logger.stdin?.end()
    })
    logger.stdin?.destroy()
  }

  #running(): ChildProcess | undefined {
    const nowMs = this.#clock.nowMs()
    if (this.#logger !== undefined || nowMs - this.#startedAtMs < AGAIN_MS) return this.#logger
    this.#startedAtMs = nowMs
    try {
      this.#logger = this.#start()
    } catch (failure) {
      this.#failed(messageOf(failure)) // no memory, and whatever else the system does not tell later
    }
    return this.#logger
  }

  #start(): ChildProcess {
    const argv = ['--prio-prefix', '--tag', TAG, `--id=${process.pid}`]
    // In a group of its own: the terminal's Ctrl-C is not for it, it ends with its input.
    const logger: ChildProcess = spawn('logger', argv, { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    logger.on('error', failure => this.#ended(logger, failure.message))
    logger.on('exit', (code, signal) => this.#ended(logger, `logger has ended with ${code ?? signal}`))
    logger.stdin?.on('error', () => undefined) // its end is told above; without free descriptors there is no stdin
    logger.unref()
    return logger
  }

  #ended(logger: ChildProcess, reason: string): void {
    if (this.#logger !== logger) return
    this.#logger = undefined
    this.#failed(reason)
  }

  #failed(reason: string): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.onFailure(reason)
  }
}
