import { type Log, messageOf } from '../../base/index.ts'
import type { HaproxyControl } from '../drivers/haproxy-control.ts'
import type { Command } from './plan.ts'

/** What a pass does outside of itself, and what is said where a disk does not take it: that keeps nobody out of traffic. */
export class Hands {
  readonly #control: HaproxyControl
  readonly #log: Log
  /** As it was said last. */
  #unwritten: string | undefined
  /** How many have been done. */
  commands = 0

  constructor(control: HaproxyControl, log: Log) {
    this.#control = control
    this.#log = log
  }

  /** @throws RuntimeSocketError, UnknownReplyError; some may have been done */
  async send(commands: readonly Command[]): Promise<void> {
    await this.#control.send(commands)
    this.commands += commands.length
  }

  /**
   * The file is for HAProxy's next start, and written again at the next look.
   * @returns why it could not be written
   */
  async write(text: string): Promise<string | undefined> {
    try {
      await this.#control.write(text)
      this.#unwritten = undefined
    } catch (failure) {
      const reason = messageOf(failure)
      if (reason !== this.#unwritten) this.#log.error({ error: reason }, "HAProxy's file cannot be written")
      this.#unwritten = reason
      return `HAProxy's file cannot be written: ${reason}. HAProxy serves what is wanted; started anew it would serve the last file`
    }
    return undefined
  }

  /** @returns why the servers could not be written down */
  async remember(servers: readonly unknown[]): Promise<string | undefined> {
    try {
      await this.#control.rememberServers(servers)
      return undefined
    } catch (failure) {
      return `the servers cannot be written down for the next agent: ${messageOf(failure)}`
    }
  }

  /** Why what HAProxy has loaded could not be put on record. */
  unrecorded(): string | undefined {
    const failure = this.#control.recordFailure
    return failure === undefined ? undefined : `what HAProxy has loaded cannot be put on record: ${failure}`
  }
}
