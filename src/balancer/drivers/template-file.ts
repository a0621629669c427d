import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, readRegularFile } from '../../base/index.ts'
import { TemplateError } from '../errors.ts'

/** What is larger is no template, but a mistake in its path. */
const BYTES_MAX = 1 << 20

/** The source of a user's template. @throws TemplateError when it cannot be read */
export async function readTemplate(path: string): Promise<string> {
  try {
    return await readRegularFile(path, BYTES_MAX)
  } catch (thrown) {
    throw new TemplateError(`cannot read the template ${path}: ${messageOf(thrown)}`, { cause: thrown })
  }
}

/** Makes the directory for the sockets and the one that `configPath` is in. @throws the system's error */
export async function makeDirectories(runDir: string, configPath: string): Promise<void> {
  await Promise.all([mkdir(runDir, { recursive: true }), mkdir(dirname(configPath), { recursive: true })])
}
