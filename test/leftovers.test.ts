import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from './parts.ts'

const ALONE = resolve(import.meta.dirname, '../scripts/alone.sh')

/** Processes with `mark` in their environment. */
function marked(mark: string): string[] {
  return readdirSync('/proc').filter(pid => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)
    } catch {
      return false // it ended between the two looks
    }
  })
}

test('a run that is killed in the middle leaves no process and no file', async () => {
  const mark = `MUSTER_LEFTOVERS=${process.pid}.${performance.now()}`
  const [name, value] = mark.split('=') as [string, string]
  const script = 'touch "$TMPDIR/left"; setsid sleep 1000 & setsid sleep 1000 & echo "$TMPDIR/left"; wait'
  const child = spawn('sh', [ALONE, 'sh', '-c', script], { env: { ...process.env, [name]: value } })
  let printed = ''
  child.stdout.on('data', (text: Buffer) => {
    printed += text.toString()
  })
  await eventually(
    () => printed,
    text => text.endsWith('left\n'),
  )
  expect(marked(mark).length).toBeGreaterThanOrEqual(3)
  child.kill('SIGKILL')
  await eventually(
    () => marked(mark),
    pids => pids.length === 0,
  )
  expect(existsSync(printed.trim())).toBe(false)
})

test('the exit status of the command is that of the run', async () => {
  const child = spawn('sh', [ALONE, 'sh', '-c', 'exit 7'])
  expect(await new Promise(done => child.once('exit', done))).toBe(7)
})
