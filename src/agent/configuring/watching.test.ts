import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Clock, Scope, silentLog, systemClock } from '../../base/index.ts'
import { until } from '../../testing/index.ts'
import type { AgentConfig } from '../config/index.ts'
import { startWatching } from './watching.ts'

/** Looks two hundred times a second. */
const quick: Clock = { ...systemClock, after: (_delayMs, fn) => systemClock.after(5, fn) }

test('files are watched that the configuration names by now: a new template, and not the old one', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wa-'))
  const [yaml, first, second] = ['m.yaml', 'first.hbs', 'second.hbs'].map(name => join(directory, name)) as [
    string,
    string,
    string,
  ]
  for (const path of [yaml, first, second]) await writeFile(path, '1')
  const naming = (template: string) =>
    ({ files: [yaml], balancer: { watch: true, template, frontends: [] } }) as unknown as AgentConfig
  let config = naming(first)
  let applied = 0
  let looks = 0
  const apply = async () => {
    applied++
    config = naming(second)
  }
  const clock: Clock = { ...quick, after: (delayMs, fn) => (looks++, quick.after(delayMs, fn)) }
  const scope = new Scope()
  startWatching(() => config, { clock, log: silentLog, apply }, scope)
  const severalLooks = async () => {
    const from = looks
    await until(() => looks > from + 5)
  }
  await severalLooks()
  await writeFile(yaml, 'two')
  await until(() => applied === 1)
  await severalLooks()
  expect(applied).toBe(1)
  await writeFile(first, 'nobody reads this any more')
  await severalLooks()
  expect(applied).toBe(1)
  await writeFile(second, 'three')
  await until(() => applied === 2)
  await rm(second)
  await until(() => applied === 3)
  await scope[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

test('watching begins and ends with what is in force: while it is not asked for, nothing is taken over', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wa-'))
  const yaml = join(directory, 'm.yaml')
  await writeFile(yaml, '1')
  const asking = (watch: boolean) => ({ files: [yaml], balancer: { watch, frontends: [] } }) as unknown as AgentConfig
  let config = asking(false)
  let applied = 0
  let looks = 0
  const clock: Clock = { ...quick, after: (delayMs, fn) => (looks++, quick.after(delayMs, fn)) }
  const severalLooks = async () => {
    const from = looks
    await until(() => looks > from + 5)
  }
  const apply = async () => void applied++
  const scope = new Scope()
  startWatching(() => config, { clock, log: silentLog, apply }, scope)
  await severalLooks()
  await writeFile(yaml, 'two')
  await severalLooks()
  expect(applied).toBe(0)
  config = asking(true)
  await severalLooks()
  expect(applied).toBe(0)
  await writeFile(yaml, 'three')
  await until(() => applied === 1)
  config = asking(false)
  await severalLooks()
  await writeFile(yaml, 'four, and more')
  await severalLooks()
  expect(applied).toBe(1)
  await scope[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})
