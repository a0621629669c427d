import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { type Clock, isAlive, type ProcessIdentity, type Timer } from '../../base/index.ts'

/** For when the FIFO stays silent because a grandchild still has it: one look costs 16 µs. */
const LOOK_MS = 100
/** A dying process closes its descriptors just before it becomes a zombie. */
const LOOK_AGAIN_MS = 1

/**
 * Hears the death of a process that is not our child. It holds the write end of a FIFO: when it dies we read the end of
 * file, 0.6 ms later, and look into /proc to be sure. Also looks by timer, since grandchildren inherit the write end.
 */
export class DeathWatch {
  readonly #identity: ProcessIdentity
  readonly #clock: Clock
  readonly #onDeath: () => void
  #socket: Socket | undefined
  #timer: Timer | undefined
  #looksSoon = 0

  constructor(identity: ProcessIdentity, fifoPath: string, clock: Clock, onDeath: () => void) {
    this.#identity = identity
    this.#clock = clock
    this.#onDeath = onDeath
    this.#listen(fifoPath)
    this.#timer = clock.after(0, () => this.#look()) // it may have died before we opened
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #listen(fifoPath: string): void {
    let fd: number
    try {
      fd = openSync(fifoPath, constants.O_RDONLY | constants.O_NONBLOCK)
    } catch {
      return // somebody cleaned up /run; the timer still looks
    }
    try {
      this.#socket = new Socket({ fd, readable: true, writable: false })
    } catch {
      closeSync(fd) // not a FIFO
      return
    }
    this.#socket.on('error', () => this.#socket?.destroy())
    this.#socket.on('close', () => this.#hurry())
    this.#socket.resume()
  }

  #hurry(): void {
    if (this.#timer === undefined) return // closed by ourselves
    this.#looksSoon = 20
    this.#look()
  }

  #look(): void {
    this.#timer?.cancel()
    if (!isAlive(this.#identity)) {
      this.close()
      return this.#onDeath()
    }
    const soon = this.#looksSoon-- > 0
    this.#timer = this.#clock.after(soon ? LOOK_AGAIN_MS : LOOK_MS, () => this.#look())
  }
}
