import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, readRegularFile, writeFileAtomic } from '../../base/index.ts'
import type { Generation, Pin } from '../configuring/generation.ts'

const PIN = 'pinned.json'
const BYTES_MAX = 4 << 20
const FILES_MAX = 64

/** What was found on disk. */
export interface FoundGenerations {
  /** Unchecked but for having settings. */
  readonly generations: readonly Generation[]
  readonly pin: Pin | undefined
  readonly problems: readonly string[]
}

/** One file for each configuration that was in force, in a directory of their own. */
export class GenerationFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async read(): Promise<FoundGenerations> {
    const names = await readdir(this.#directory).catch((): string[] => [])
    const problems: string[] = []
    const generations: Generation[] = []
    for (const name of names.filter(one => /^\d{1,12}\.json$/.test(one)).slice(0, FILES_MAX)) {
      const found = await this.#readJson(name).catch((failure: unknown) => void problems.push(messageOf(failure)))
      if (hasSettings(found)) generations.push(found)
    }
    const pin = names.includes(PIN) ? await this.#readJson(PIN).catch(() => undefined) : undefined
    return { generations, pin: isPin(pin) ? pin : undefined, problems }
  }

  /** @throws the system's error */
  async write(generation: Generation, forgotten: readonly Generation[]): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    await writeFileAtomic(join(this.#directory, `${generation.number}.json`), `${JSON.stringify(generation)}\n`)
    for (const { number } of forgotten) await rm(join(this.#directory, `${number}.json`), { force: true })
  }

  /** @throws the system's error */
  async writePin(pin: Pin | undefined): Promise<void> {
    const path = join(this.#directory, PIN)
    if (pin === undefined) return rm(path, { force: true })
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    await writeFileAtomic(path, `${JSON.stringify(pin)}\n`)
  }

  /** The text of a user's template; undefined for a built-in one, or when it cannot be read. */
  async readTemplate(template: string): Promise<string | undefined> {
    if (!template.startsWith('/')) return undefined
    return await readRegularFile(template, BYTES_MAX).catch(() => undefined)
  }

  async #readJson(name: string): Promise<unknown> {
    return JSON.parse(await readRegularFile(join(this.#directory, name), BYTES_MAX))
  }
}

function hasSettings(value: unknown): value is Generation {
  return typeof value === 'object' && value !== null && 'settings' in value
}

function isPin(value: unknown): value is Pin {
  return typeof value === 'object' && value !== null && 'number' in value && 'insteadOf' in value
}
