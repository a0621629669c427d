import { stat } from 'node:fs/promises'

/** Tells the state of these files from another: inode, size, and time of change of each. A file that is missing counts, too. */
export async function marksOf(paths: readonly string[]): Promise<string> {
  const marks = await Promise.all(paths.map(markOf))
  return marks.join('\n')
}

async function markOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found === undefined ? `${path} missing` : `${path} ${found.ino} ${found.size} ${found.mtimeNs}`
}
