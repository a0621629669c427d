/** The thread that runs cases. It says which one it is at through shared memory, so that a watcher knows even while it hangs. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../src/base/index.ts'
import { CASE, type Job, OVER, READY, runCases } from './cases.ts'
import { targets } from './targets.ts'

const port = parentPort
assert(port !== null, 'this is a worker')
const { at } = workerData as { at: Int32Array }
const isOver = () => Atomics.load(at, OVER) === 1

async function perform(job: Job): Promise<void> {
  const target = targets.find(({ name }) => name === job.target)
  assert(target !== undefined, `unknown target ${job.target}`)
  const prototype = Object.getOwnPropertyNames(Object.prototype).length
  const result = await runCases(target, job, nth => Atomics.store(at, CASE, nth), isOver)
  assert(Object.getOwnPropertyNames(Object.prototype).length === prototype, 'a case has changed Object.prototype')
  Atomics.store(at, CASE, -1)
  port?.postMessage(result)
}

port.on('message', (job: Job) => {
  perform(job).catch((failure: unknown) => {
    setImmediate(() => {
      throw failure
    })
  })
})
port.postMessage(READY)
