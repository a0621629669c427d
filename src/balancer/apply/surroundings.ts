import type { Clock } from '../../base/index.ts'
import { type Attachments, references, withDigests } from '../file/attachments.ts'
import type { Structure } from '../file/config-structure.ts'
import { readAttachments } from '../drivers/attachment-files.ts'
import type { HaproxyControl } from '../drivers/haproxy-control.ts'

/** HAProxy is asked for its maps, ACLs and certificates this often, to find what somebody else has changed. */
const LOOK_MS = 10_000
const NONE: Attachments = new Map()
const NOTHING = { running: NONE, wanted: NONE } as const

/** The files beside the configuration: maps, ACLs, certificates. Their disk is read when the configuration is, and at reloads. */
export class Surroundings {
  readonly #control: HaproxyControl
  readonly #clock: Clock
  /** In force; of what no socket tells (certificates but for their fingerprints, too), as it was when HAProxy last read it. */
  #wanted: Attachments | undefined
  #dueMs = Number.NEGATIVE_INFINITY

  constructor(control: HaproxyControl, clock: Clock) {
    this.#control = control
    this.#clock = clock
  }

  /**
   * What HAProxy has of the files that `loaded` names, and what it should have; nothing between the times when it is looked at.
   * @param rereads the files are read from the disk again; what they say by now is wanted only from `assume` or `loaded` on
   */
  async look(
    loaded: Structure,
    rereads: boolean,
  ): Promise<{ readonly running: Attachments; readonly wanted: Attachments }> {
    const nowMs = this.#clock.nowMs()
    const isDue = rereads || this.#wanted === undefined || nowMs >= this.#dueMs
    if (!isDue) return NOTHING
    const named = references(loaded)
    if (named.length === 0) return NOTHING
    this.#dueMs = nowMs + LOOK_MS
    const wanted = rereads || this.#wanted === undefined ? await readAttachments(named) : this.#wanted
    const inForce = (this.#wanted ??= wanted)
    const shown = await this.#control.attachments([...wanted].map(([path, { kind }]) => ({ path, kind })))
    const untold = [...inForce].filter(([path, { kind }]) => kind === 'other' || wanted.get(path)?.kind === 'other')
    return { running: new Map([...untold, ...withDigests(shown, inForce)]), wanted }
  }

  /** HAProxy has these by now. */
  assume(wanted: Attachments): void {
    if (wanted.size > 0) this.#wanted = wanted
  }

  /** HAProxy has just read all of its files. */
  async loaded(config: Structure): Promise<void> {
    const named = references(config)
    this.#wanted = named.length === 0 ? NONE : await readAttachments(named)
  }
}
