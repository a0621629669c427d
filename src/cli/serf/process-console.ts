import { systemClock } from '../../base/index.ts'
import type { Console } from './console.ts'

/** The process's own streams, environment and Ctrl-C. */
export function processConsole(): Console {
  // Nobody reads any more (`| head`): end as a program that wrote into a closed pipe does.
  process.stdout.on('error', () => process.exit(BROKEN_PIPE))
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

/** 128 and the number of SIGPIPE. */
const BROKEN_PIPE = 141
