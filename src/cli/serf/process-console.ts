import { systemClock } from '../../base/index.ts'
import { endWithReader } from '../output.ts'
import type { Console } from './console.ts'

/** The process's own streams, environment and Ctrl-C. */
export function processConsole(): Console {
  endWithReader()
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    env: process.env,
    clock: systemClock,
    interrupted() {
      const quitting = new AbortController()
      process.once('SIGINT', () => quitting.abort())
      return quitting.signal
    },
  }
}
