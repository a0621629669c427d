import type { Clock, Timer } from '../../base/index.ts'
import type { SerfEvent } from '../events.ts'
import type { LTime } from '../lamport.ts'
import type { SnapshotRecord } from '../snapshot.ts'
import type { SnapshotFile } from './snapshot-file.ts'

const CLOCK_NOTE_MS = 500

/** Serf's Snapshotter: writes what happens into the snapshot, where there is one. The member clock follows at its own, slower pace. */
export class Snapshotter {
  readonly #file: SnapshotFile | undefined
  readonly #record: SnapshotRecord
  readonly #clock: Clock
  /** The core's Lamport time. */
  readonly #time: () => LTime
  #note: Timer | undefined
  #noted: LTime = 0
  #isEnded = false

  constructor(file: SnapshotFile | undefined, record: SnapshotRecord, clock: Clock, time: () => LTime) {
    this.#file = file
    this.#record = record
    this.#clock = clock
    this.#time = time
  }

  event(event: SerfEvent): void {
    this.#file?.append(this.#record.record(event))
  }

  queryClock(ltime: LTime): void {
    this.#file?.append(this.#record.queryClock(ltime))
  }

  /** On the disk soon, and before the process may be gone. */
  leave(): void {
    this.#file?.append(this.#record.leave())
    void this.#file?.flush(true)
  }

  /** The clock may have moved. */
  noteClock(): void {
    if (this.#file === undefined || this.#noted === this.#time() || this.#note !== undefined || this.#isEnded) return
    this.#note = this.#clock.after(CLOCK_NOTE_MS, () => {
      this.#note = undefined
      this.#noted = this.#time()
      this.#file?.append(this.#record.memberClock(this.#noted - 1))
    })
  }

  /** Writes the clock as it is, and closes the file. */
  async close(): Promise<void> {
    this.#isEnded = true
    this.#note?.cancel()
    this.#file?.append(this.#record.memberClock(this.#time() - 1))
    await this.#file?.close()
  }
}
