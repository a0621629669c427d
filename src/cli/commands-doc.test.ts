import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { OWN_OPTIONS } from './own-options.ts'
import { program } from './program.ts'

const lines = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8').split('\n')
/** What many commands share is told once for all of them, and the flags of the agent have a table of their own. */
const SHARED = ['-output', '-o', '-socket', '-rpc-addr', '-rpc-auth', '-format', '-help', '-h']

const isIn = (text: string) => (flag: string) => new RegExp(`(?<![\\w-])-?${flag}(?![\\w-])`).test(text)

/** Long ones with one dash: the text may have one or two. */
function flagsOf(name: string): string[] {
  const own = OWN_OPTIONS[name]
  if (own !== undefined) return Object.keys(own.options).map(flag => `-${flag}`)
  const options = program().commands.find(command => command.name() === name)?.options ?? []
  return options.flatMap(({ short, long }) => [short, long?.replace('--', '-')].filter(flag => flag !== undefined))
}

test('every command and every flag of its help stand in docs/commands.md', () => {
  const missing = program().commands.flatMap(command => {
    const name = command.name()
    const about = lines.filter(line => line.includes(`\`muster ${name}`))
    if (about.length === 0) return [name]
    const isTold = isIn(['agent', 'up', 'history'].includes(name) ? lines.join('\n') : about.join('\n'))
    const own = flagsOf(name).filter(flag => !SHARED.includes(flag))
    return own.filter(flag => !isTold(flag)).map(flag => `${name} ${flag}`)
  })
  expect(missing).toEqual([])
  expect(SHARED.filter(flag => !isIn(lines.join('\n'))(flag))).toEqual([])
})
