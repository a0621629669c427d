import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseSync } from 'rolldown/utils'
import { expect, test } from 'vitest'

/** Which rooms each room may look into: the picture of docs/architecture.md, read downwards. */
const below: Record<string, readonly string[]> = {
  base: [],
  codec: ['base'],
  memberlist: ['codec', 'base'],
  serf: ['memberlist', 'codec', 'base'],
  supervisor: ['base'],
  prove: ['base'],
  ledger: [],
  balancer: ['supervisor', 'base'],
  api: ['base'],
  journal: ['base'],
  simulator: ['serf', 'memberlist', 'codec', 'base'],
  testing: ['simulator', 'journal', 'prove', 'api', 'balancer', 'supervisor', 'serf', 'memberlist', 'codec', 'base'],
  agent: ['api', 'balancer', 'journal', 'supervisor', 'serf', 'memberlist', 'codec', 'base'],
  cli: ['agent', 'api', 'prove', 'simulator', 'serf', 'codec', 'base'],
}
const root = resolve(import.meta.dirname, '..')
const src = join(root, 'src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))

interface Import {
  readonly file: string
  readonly target: string
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  const { module } = parseSync(file, text)
  const dynamic = module.dynamicImports.map(found => text.slice(found.moduleRequest.start, found.moduleRequest.end))
  const fixed = [...module.staticImports.map(found => found.moduleRequest.value)]
  const passed = module.staticExports.flatMap(found => found.entries.map(entry => entry.moduleRequest?.value ?? ''))
  const targets = [...fixed, ...passed, ...dynamic.map(quoted => quoted.replace(/^['"`]|['"`]$/g, ''))]
  return targets.filter(target => target !== '').map(target => ({ file: relative(root, file), target }))
}

const local = files
  .flatMap(name => importsOf(join(src, name)))
  .filter(found => found.target.startsWith('.'))
  .map(found => ({ ...found, to: relative(src, resolve(root, dirname(found.file), found.target)) }))
const roomOf = (path: string) => path.replace(/^src\//, '').split('/')[0] as string

test('every room has its place in the picture', () => {
  expect([...new Set(files.filter(name => name.includes('/')).map(roomOf))].filter(room => !(room in below))).toEqual(
    [],
  )
})

test('imports point down, never up or sideways', () => {
  const wrong = local.filter(({ file, to }) => {
    const [from, target] = [roomOf(file), roomOf(to)]
    if (from === target) return false
    if (file.endsWith('.test.ts') && target === 'testing') return false
    return !(below[from] ?? []).includes(target)
  })
  expect(wrong.map(({ file, target }) => `${file} imports ${target}`)).toEqual([])
})

test('a room is entered by its door', () => {
  const wrong = local.filter(({ file, to }) => roomOf(file) !== roomOf(to) && !/^\w+\/index\.ts$/.test(to))
  // the agent and the commands are loaded late, one by one, so that a node loads only what it uses
  const late = wrong.filter(({ file, to }) => !(roomOf(file) === 'cli' && roomOf(to) === 'agent'))
  expect(late.map(({ file, target }) => `${file} imports ${target}`)).toEqual([])
})

const world =
  /\b(setTimeout|setInterval|Date\.now|Math\.random|randomBytes|performance\.now)\b\s*\(|(?<![-\w])process\.(?!env\b)/
const worldModules = /^node:(fs|net|dgram|child_process|http|https|dns|os|tls)/

test('the world is touched in drivers, base and cli only', () => {
  const outside = files.filter(name => !/^(base|cli|testing)\/|\/drivers\/|\.test\.ts$/.test(name))
  const modules = outside.flatMap(name => importsOf(join(src, name))).filter(({ target }) => worldModules.test(target))
  const pure = modules.filter(({ target }) => target !== 'node:net') // isIP and its kin are pure
  const calls = outside.filter(name => {
    const code = readFileSync(join(src, name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    return world.test(code)
  })
  expect(pure.map(({ file, target }) => `${file} imports ${target}`)).toEqual([])
  expect(calls).toEqual([])
})
