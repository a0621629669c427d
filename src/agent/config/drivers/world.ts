import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { MusterError } from '../../../base/index.ts'

/** What reading a configuration needs from the machine. */
export interface ConfigWorld {
  /** A file, or what a process substitution gives. @throws the system's error, FileTooLargeError */
  readText(path: string): string
  /** Names of the files in a directory. @throws the system's error */
  list(path: string): string[]
  exists(path: string): boolean
  hostName(): string
  /** The addresses of a network interface, undefined when there is no such interface. */
  addressesOf(networkInterface: string): readonly string[] | undefined
  workingDirectory(): string
}

/** A file, or a device that never ends, holds more than any configuration. It was not read to its end. */
export class FileTooLargeError extends MusterError {
  readonly code = 'CONFIG_FILE_TOO_LARGE'

  constructor(path: string) {
    super(`${path} holds more than ${TEXT_BYTES_MAX / 2 ** 20} MiB, which is no configuration, keyring or tags file`)
  }
}

/** Thousands of services; a device such as `/dev/zero` has no end. */
const TEXT_BYTES_MAX = 4 * 2 ** 20

/** Sizes are not asked for beforehand: pipes and devices have none. */
function readText(path: string): string {
  const file = openSync(path, 'r')
  try {
    const chunks: Buffer[] = []
    for (let bytes = 0; bytes <= TEXT_BYTES_MAX; ) {
      const chunk = Buffer.alloc(64 * 1024)
      const read = readSync(file, chunk)
      if (read === 0) return Buffer.concat(chunks).toString()
      chunks.push(chunk.subarray(0, read))
      bytes += read
    }
    throw new FileTooLargeError(path)
  } finally {
    closeSync(file)
  }
}

/** This machine. */
export const systemWorld: ConfigWorld = {
  readText,
  list: path => readdirSync(path).filter(name => statSync(`${path}/${name}`).isFile()),
  exists: path => existsSync(path),
  hostName: () => hostname(),
  addressesOf: name => networkInterfaces()[name]?.map(one => one.address),
  workingDirectory: () => process.cwd(),
}
