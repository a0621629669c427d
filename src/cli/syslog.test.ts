import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../base/index.ts'
import { Syslog } from './syslog.ts'

/** A `logger` that does this, before all others in PATH. */
function withLogger(script: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'syslog-'))
  writeFileSync(join(directory, 'logger'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(directory, 'logger'), 0o755)
  const path = process.env['PATH']
  process.env['PATH'] = `${directory}:${path}`
  onTestFinished(() => {
    process.env['PATH'] = path
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

test('lines go to logger with facility and Serf severity in front, without date and level, and none is lost at the end', async () => {
  const directory = withLogger('echo "$@" > "$0.args"; cat > "$0.lines"')
  const syslog = new Syslog(16, { clock: systemClock })
  for (const level of [10, 20, 30, 40, 50])
    syslog.write(level, JSON.stringify({ level, time: 0, room: 'serf', msg: 'said\nso', n: 1 }))
  await syslog.close()
  expect(readFileSync(join(directory, 'logger.args'), 'utf8')).toBe(`--prio-prefix --tag serf --id=${process.pid}\n`)
  const lines = [135, 134, 133, 132, 131].map(priority => `<${priority}>serf: said\\x0aso n=1\n`)
  expect(readFileSync(join(directory, 'logger.lines'), 'utf8')).toBe(lines.join(''))
})

test('a logger that ends at once is said once, and started again no sooner than after ten seconds', async () => {
  const directory = withLogger('echo run >> "$0.runs"; exit 3')
  let nowMs = 0
  const syslog = new Syslog(16, { clock: { ...systemClock, nowMs: () => nowMs } })
  const reasons: string[] = []
  const first = new Promise<void>(resolve => {
    syslog.onFailure = reason => {
      reasons.push(reason)
      resolve()
    }
  })
  const record = JSON.stringify({ msg: 'x' })
  syslog.write(30, record)
  await first
  for (let i = 0; i < 9; i++) {
    nowMs += 1_000
    syslog.write(30, record)
  }
  expect(readFileSync(join(directory, 'logger.runs'), 'utf8')).toBe('run\n')
  nowMs += 1_000
  syslog.write(30, record)
  await syslog.close()
  expect(existsSync(join(directory, 'logger.runs'))).toBe(true)
  expect(readFileSync(join(directory, 'logger.runs'), 'utf8')).toBe('run\nrun\n')
  expect(reasons).toEqual(['logger has ended with 3'])
})

/** Runs statements in a process of its own, in which `syslog` is one that tells its failures. @returns what it prints */
async function alone(shell: string, statements: string): Promise<string> {
  const here = (path: string) => JSON.stringify(resolve(import.meta.dirname, path))
  const program = `
    const { openSync } = await import('node:fs'); await import('node:child_process')
    const { Syslog } = await import(${here('syslog.ts')}); const { systemClock } = await import(${here('../base/index.ts')})
    const syslog = new Syslog(16, { clock: systemClock })
    syslog.onFailure = reason => process.stdout.write(reason + '\\n')
    ${statements}`
  const child = spawn('sh', ['-c', shell, process.execPath, program], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', chunk => {
    printed += String(chunk)
  })
  await once(child, 'close')
  return printed
}

test('a logger that reads nothing is said once, costs a mebibyte, and does not hold the process', async () => {
  const directory = withLogger('echo $$ > "$0.pid"; exec sleep 600')
  const printed = await alone(
    NODE,
    `for (let i = 0; i < 30_000; i++) syslog.write(30, JSON.stringify({ msg: 'x'.repeat(100) })); await syslog.close()`,
  )
  process.kill(Number(readFileSync(join(directory, 'logger.pid'), 'utf8')))
  expect(printed).toBe('logger is behind by more than a mebibyte\n')
}, 20_000)

test('where there is no descriptor left for a logger, lines are lost and nothing is thrown', async () => {
  const fill = `try { for (;;) openSync('/dev/null') } catch {}`
  const printed = await alone(`ulimit -n 64; ${NODE}`, `${fill}; syslog.write(30, '{"msg":"x"}'); await null`)
  expect(printed).toMatch(/^spawn .*EMFILE\n$/)
}, 20_000)

const NODE = 'exec "$0" --import tsx --input-type=module --eval "$1"'
