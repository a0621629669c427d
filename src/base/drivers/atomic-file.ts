import { lstat, open, opendir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

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
  await removeTornWritesOnce(path)
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

const swept = new Set<string>()
const SWEPT_MAX = 1000

/** Before the first write of a path: only whoever runs now can have added something since. */
async function removeTornWritesOnce(path: string): Promise<void> {
  if (swept.has(path)) return
  if (swept.size >= SWEPT_MAX) swept.clear()
  swept.add(path)
  await removeTornWrites(path)
}

/** Names looked at; a state directory has a few dozen, `/tmp` may have any number. */
const NAMES_MAX = 10_000
/** Pids have seven digits at most, see proc_pid_max(5). */
const TORN_PATTERN = /^\.([1-9]\d{0,6})(-\d{1,6})?\.tmp$/

/**
 * Removes what writers of `path` left beside it that were killed in the middle: temporary files of processes that are no
 * more, or of an earlier process with our pid (in a container it is 1 every time). What cannot be read or removed stays.
 */
export async function removeTornWrites(path: string): Promise<void> {
  for (const name of await namesBeside(path)) {
    const pid = TORN_PATTERN.exec(name.slice(basename(path).length))?.[1]
    if (pid === undefined) continue
    const temporary = join(dirname(path), name)
    if (await isTorn(temporary, Number(pid))) await rm(temporary, { force: true }).catch(() => undefined)
  }
}

async function namesBeside(path: string): Promise<string[]> {
  const names: string[] = []
  let looks = 0
  try {
    for await (const { name } of await opendir(dirname(path))) {
      if (name.startsWith(`${basename(path)}.`)) names.push(name)
      if (++looks >= NAMES_MAX) break
    }
  } catch {
    return [] // the write itself will say what is wrong with the directory
  }
  return names
}

async function isTorn(temporary: string, pid: number): Promise<boolean> {
  if (pid !== process.pid) return !isRunning(pid)
  const stats = await lstat(temporary).catch(() => undefined)
  return stats !== undefined && stats.mtimeMs < Date.now() - process.uptime() * 1000
}

/** Of whoever owns it, also where `/proc` hides the processes of others. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code !== 'ESRCH'
  }
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
