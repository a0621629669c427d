import { stat } from 'node:fs/promises'

/** By path, what tells the state of each file from another: inode, size, and time of change. One that is missing counts, too. */
export async function marksOf(paths: readonly string[]): Promise<Map<string, string>> {
  return new Map(await Promise.all(paths.map(async path => [path, await markOf(path)] as const)))
}

async function markOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found === undefined ? 'missing' : `${found.ino} ${found.size} ${found.mtimeNs}`
}
