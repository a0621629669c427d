import type { ConfigWorld } from './drivers/world.ts'

/** A machine for tests: these files and no others, by the path they are asked for; one interface, `eth0`. */
export function fakeWorld(files: Readonly<Record<string, string>>, workingDirectory = '/'): ConfigWorld {
  return {
    readText(path) {
      const text = files[path]
      if (text === undefined) throw new Error('ENOENT: no such file or directory')
      return text
    },
    list: folder =>
      Object.keys(files)
        .filter(path => path.startsWith(`${folder}/`))
        .map(path => path.slice(folder.length + 1)),
    exists: path => Object.hasOwn(files, path),
    hostName: () => 'host-1',
    addressesOf: name => (name === 'eth0' ? ['fe80::1', '10.0.0.9', '10.0.0.1'] : undefined),
    workingDirectory: () => workingDirectory,
  }
}
