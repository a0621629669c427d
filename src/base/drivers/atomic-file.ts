import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a file so that a reader, or a crash at any moment, sees the old content or the new one and nothing between:
 * written beside it, synced, renamed, and the directory synced, since the rename itself lives there.
 * @param mode of a new file, 0o600 by default; the replaced file's own mode is not kept
 * @throws the system's error (ENOSPC, EACCES, …); the old file is untouched and the temporary one removed
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  await replaceFile(path, content, mode)
  await syncDirectory(dirname(path))
}

/** The same where a power cut may still bring the old content back, whole: the directory is left to the system. */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = temporaryFor(path)
  try {
    await writeSynced(temporary, content, mode)
    await rename(temporary, path)
  } catch (failure) {
    await rm(temporary, { force: true })
    throw failure
  } finally {
    writing.delete(temporary)
  }
}

const writing = new Set<string>()

/** Two who write the same file at a time have one each; whoever is last wins. */
function temporaryFor(path: string): string {
  let name = `${path}.${process.pid}.tmp`
  for (let nth = 2; writing.has(name); nth++) name = `${path}.${process.pid}-${nth}.tmp`
  writing.add(name)
  return name
}

async function writeSynced(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'w', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
