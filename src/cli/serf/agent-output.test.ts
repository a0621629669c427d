import { mkdtempSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { HeldLog } from './agent-output.ts'
import { standardDirs } from './standard-dirs.ts'

test('log lines are held back until the agent runs, 512 of them, and then stand four spaces in', () => {
  const printed: string[] = []
  const log = new HeldLog(text => void printed.push(text))
  for (let i = 0; i < 600; i++) log.write(`line ${i}\n`)
  expect(printed).toEqual([])
  log.open(true)
  log.write('later\n')
  expect([printed.length, printed[0], printed.at(-1)]).toEqual([513, '    line 0\n', '    later\n'])
})

test('records for programs stand at the margin', () => {
  const printed: string[] = []
  const log = new HeldLog(text => void printed.push(text))
  log.write('{}\n')
  log.open(false)
  expect(printed).toEqual(['{}\n'])
})

test('state and sockets are where the agent may write: the standard place, what systemd has made, the own, a new one', () => {
  const base = mkdtempSync(join(tmpdir(), 'dirs-'))
  onTestFinished(() => rmSync(base, { recursive: true, force: true }))
  writeFileSync(join(base, 'file'), '')
  const standard = { state: join(base, 'a/state'), run: join(base, 'a/run') }
  expect(standardDirs({}, standard)).toEqual(standard)
  expect(statSync(standard.run).mode & 0o777).toBe(0o700)

  const refused = { state: join(base, 'file/state'), run: join(base, 'file/run') }
  for (const name of ['s', 'r']) mkdirSync(join(base, name))
  const unit = { STATE_DIRECTORY: `${join(base, 's')}:${join(base, 'other')}`, RUNTIME_DIRECTORY: join(base, 'r') }
  expect(standardDirs(unit, refused)).toEqual({ state: join(base, 's'), run: join(base, 'r') })

  const own = { XDG_STATE_HOME: join(base, 'home'), XDG_RUNTIME_DIR: join(base, 'user') }
  expect(standardDirs(own, refused)).toEqual({ state: join(base, 'home/muster'), run: join(base, 'user/muster') })

  const found = standardDirs({ XDG_STATE_HOME: join(base, 'file') }, refused)
  onTestFinished(() => rmSync(join(found.run, '..'), { recursive: true, force: true }))
  expect(found.run).toMatch(/muster-\w+\/run$/)
})
