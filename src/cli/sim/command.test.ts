import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly told: string
}

/** @param interruptAt Ctrl-C as soon as this stands on standard error, and again with whatever is said after it, as npm does */
function sim(args: readonly string[], interruptAt?: string): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'sim', ...args])
  let [out, told] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => {
    told += chunk.toString()
    if (interruptAt !== undefined && told.includes(interruptAt)) child.kill('SIGINT')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, out, told }))
  })
}

test('a scenario file is run and shown as text, JSON and SVG, and what is wrong with one is said with its place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-sim-'))
  try {
    const [good, bad, svg] = ['good.yaml', 'bad.yaml', 'good.svg'].map(name => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(good, 'members: 6\nduration: 10s\n')
    writeFileSync(bad, 'members: 6\nduratoin: 10s\n')
    const [text, json] = await Promise.all([sim([good, '--plot', svg]), sim([good, '-o', 'json'])])
    const [wrong, endless] = await Promise.all([sim([bad]), sim(['/dev/zero'])])
    expect(text).toMatchObject({ code: 0, out: expect.stringMatching(/^6 members.*seed 1[\s\S]*Convergence/) })
    expect(JSON.parse(json.out)).toMatchObject({ seeds: [1], scenario: { members: 6 }, summary: { runs: 1 } })
    expect(wrong).toMatchObject({ code: 2, out: '' })
    expect(wrong.told).toContain(`${bad}:2:1: unknown key "duratoin"; did you mean "duration"?`)
    expect(endless).toMatchObject({ code: 2, out: '', told: expect.stringContaining('it is longer than') })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('Ctrl-C ends it with a summary of what was through, and 130', async () => {
  const long = ['--members=150', '--loss=0.1', '--duration=24h', '--jobs=1']
  const ended = await sim(long, ' at a time')
  expect(ended).toMatchObject({ code: 130, out: '' })
  expect(ended.told).toContain('interrupted: 0 of 1 rings were through')
})
