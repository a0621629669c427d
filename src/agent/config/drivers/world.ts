import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'

/** What reading a configuration needs from the machine. */
export interface ConfigWorld {
  /** @throws the system's error */
  readText(path: string): string
  /** Names of the files in a directory. @throws the system's error */
  list(path: string): string[]
  exists(path: string): boolean
  hostName(): string
  /** The addresses of a network interface, undefined when there is no such interface. */
  addressesOf(networkInterface: string): readonly string[] | undefined
  workingDirectory(): string
}

/** This machine. */
export const systemWorld: ConfigWorld = {
  readText: path => readFileSync(path, 'utf8'),
  list: path => readdirSync(path).filter(name => statSync(`${path}/${name}`).isFile()),
  exists: path => existsSync(path),
  hostName: () => hostname(),
  addressesOf: name => networkInterfaces()[name]?.map(one => one.address),
  workingDirectory: () => process.cwd(),
}
