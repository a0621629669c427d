import { createHash } from 'node:crypto'
import { type Clock, type Log, messageOf, MusterError } from '../../base/index.ts'
import type { BalancerSettings } from '../config/index.ts'
import type { GenerationFiles } from '../drivers/generation-files.ts'
import type { Configured, Generation, Pin } from './generation.ts'

/** The generation that was asked for does not exist. Nothing was changed. */
export class NoGenerationError extends MusterError {
  readonly code = 'AGENT_NO_GENERATION'
  constructor(wanted: number | undefined, known: readonly number[]) {
    const which =
      wanted === undefined ? 'there is no configuration before this one' : `there is no generation ${wanted}`
    super(`${which}; there is ${known.length === 0 ? 'none' : known.join(', ')}. Nothing was changed`)
  }
}

/** As many are kept. */
const KEPT = 20

/** The configurations that were in force, on disk, to go back to. Maps, ACLs and certificates are not part of them. */
export class Generations {
  readonly #files: GenerationFiles
  readonly #clock: Clock
  readonly #log: Log
  #all: Generation[] = []
  #pin: Pin | undefined

  constructor(files: GenerationFiles, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#files = files
    this.#clock = deps.clock
    this.#log = deps.log
  }

  /** Reads what is on disk; what cannot be read is left out, and said. */
  async load(): Promise<void> {
    const { generations, pin, problems } = await this.#files.read()
    for (const problem of problems) this.#log.warn({ problem }, 'a former configuration cannot be read')
    this.#all = generations.filter(isWhole).sort((a, b) => a.number - b.number)
    this.#pin = pin
  }

  /** The newest last. */
  all(): readonly Generation[] {
    return this.#all
  }

  /** The one that serves; undefined before the first. */
  current(): Generation | undefined {
    return this.#all.find(({ number }) => number === this.#pin?.number) ?? this.#all.at(-1)
  }

  /** The one that was gone back to, as long as it is preferred to what the files say. */
  get pinned(): Generation | undefined {
    return this.#pin === undefined ? undefined : this.#all.find(({ number }) => number === this.#pin?.number)
  }

  /**
   * What an agent starts with: what the files say, or what was gone back to from exactly that.
   * @returns the template only of one that was gone back to; otherwise it is read from its file
   */
  async atStart(settings: BalancerSettings): Promise<Configured> {
    const { pinned } = this
    const template = await this.#files.readTemplate(settings.template)
    if (pinned !== undefined && this.#pin?.insteadOf === digestOf(configured(settings, template))) {
      this.#log.warn(
        { generation: pinned.number },
        'starting with the configuration that was gone back to; muster apply takes that of the files',
      )
      return pinned
    }
    if (this.#pin !== undefined) await this.unpin()
    return { settings }
  }

  /** It is in force from now on. Where it is the newest already, nothing is written. @throws nothing: a full disk is said in the log */
  async record(settings: BalancerSettings, actor: string, written?: object): Promise<Generation> {
    const template = await this.#files.readTemplate(settings.template)
    const now = { ...configured(settings, template), ...(written === undefined ? {} : { written }) }
    const digest = digestOf(now)
    const newest = this.#all.at(-1)
    await this.unpin()
    if (newest?.digest === digest) return newest
    const generation = { ...now, number: (newest?.number ?? 0) + 1, atMs: this.#clock.wallMs(), actor, digest }
    this.#all.push(generation)
    const forgotten = this.#all.splice(0, Math.max(0, this.#all.length - KEPT))
    await this.#keep(() => this.#files.write(generation, forgotten))
    return generation
  }

  /** Whether these are the settings, their template included, that the pinned generation is preferred to. */
  async isPinnedOver(settings: BalancerSettings): Promise<boolean> {
    if (this.#pin === undefined || this.pinned === undefined) return false
    const template = await this.#files.readTemplate(settings.template)
    return this.#pin.insteadOf === digestOf(configured(settings, template))
  }

  /** Which one `muster rollback` goes to. @throws NoGenerationError */
  find(number: number | undefined): Generation {
    const current = this.current()
    const found =
      number === undefined
        ? this.#all.findLast(one => current !== undefined && one.number < current.number)
        : this.#all.find(one => one.number === number)
    if (found !== undefined) return found
    throw new NoGenerationError(
      number,
      this.#all.map(one => one.number),
    )
  }

  /** It serves from now on, also after a restart, until the files say something else. */
  async pin(generation: Generation, settings: BalancerSettings | undefined): Promise<void> {
    const insteadOf =
      settings === undefined ? '' : digestOf(configured(settings, await this.#files.readTemplate(settings.template)))
    const pin = { number: generation.number, insteadOf }
    this.#pin = pin
    await this.#keep(() => this.#files.writePin(pin))
  }

  async unpin(): Promise<void> {
    if (this.#pin === undefined) return
    this.#pin = undefined
    await this.#keep(() => this.#files.writePin(undefined))
  }

  async #keep(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (failure) {
      this.#log.error(
        { reason: messageOf(failure) },
        'the configuration in force cannot be kept on disk; it is in force',
      )
    }
  }
}

function configured(settings: BalancerSettings, template: string | undefined): Configured {
  return template === undefined ? { settings } : { settings, template }
}

function digestOf({ settings, template = '' }: Configured): string {
  return createHash('sha256')
    .update(JSON.stringify([settings, template]))
    .digest('hex')
    .slice(0, 12)
}

/** What the disk holds is as it was written. */
function isWhole(one: Generation): boolean {
  return (
    Number.isSafeInteger(one.number) &&
    one.number > 0 &&
    one.digest === digestOf(configured(one.settings, one.template))
  )
}
