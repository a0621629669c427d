import { constants, open } from 'node:fs/promises'

/** Without blocking: a pipe that nobody writes to would keep one of the few threads for files for ever. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK

/**
 * The text of a file that is one: no pipe, no device, no directory.
 * @throws the system's error, or one that says that it is no regular file or has more than `bytesMax`
 */
export async function readRegularFile(path: string, bytesMax: number): Promise<string> {
  const file = await open(path, READ)
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new Error(`${path} is not a regular file`)
    if (found.size > bytesMax) throw new Error(`${path} has ${found.size} bytes, more than ${bytesMax}`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
