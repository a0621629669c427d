import { readdirSync, readFileSync } from 'node:fs'
import type { Sample } from './target.ts'

/** A file of `test/vectors`: bytes recorded from real agents. */
export function recorded<T>(name: 'memberlist' | 'serf' | 'serf-rpc'): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')) as T
}

/** Serf's messages, tags, coordinates and snapshots whose names begin with one of `starts`. */
export function recordedSerf(...starts: readonly string[]): Sample[] {
  return recorded<{ name: string; hex: string }[]>('serf')
    .filter(({ name }) => starts.length === 0 || starts.some(start => name.startsWith(start)))
    .map(({ name, hex }) => ({ name, bytes: Buffer.from(hex, 'hex') }))
}

/** The files of `test/fuzz/corpus/FOLDER`: written by hand, or found by a run and kept. `.hex` files hold bytes in hex. */
export function kept(folder: string): Sample[] {
  const place = new URL(`corpus/${folder}/`, import.meta.url)
  return readdirSync(place)
    .sort()
    .map(name => {
      const bytes = readFileSync(new URL(name, place))
      return { name, bytes: name.endsWith('.hex') ? Buffer.from(bytes.toString().replaceAll(/\s/g, ''), 'hex') : bytes }
    })
}
