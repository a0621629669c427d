import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../../base/index.ts'
import { endAll, rig, until } from '../../testing/index.ts'
import { attachmentChanges, parseEntries, parseShown, type Reference } from './attachments.ts'
import { parseStructure } from './config-structure.ts'
import { readAttachments } from '../drivers/attachment-files.ts'
import type { HaproxyControl } from '../drivers/haproxy-control.ts'
import { Surroundings } from '../apply/surroundings.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'at-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
  await endAll()
})

/** Surroundings of an HAProxy that has of these files what it is told to have. */
function surroundings(maps: ReadonlyMap<string, string>) {
  let nowMs = 0
  const asked: string[] = []
  const attachments = async (references: readonly Reference[]) => {
    const comparable = references.filter(({ kind }) => kind !== 'other').map(({ path }) => path)
    asked.push(...comparable)
    const shown = comparable.flatMap(path => {
      const found = maps.has(path) ? parseEntries('map', maps.get(path) ?? '') : undefined
      return found === undefined ? [] : [[path, found] as const]
    })
    return new Map(shown)
  }
  const look = async (path: string, rereads: boolean) => {
    nowMs += 20_000
    const seen = await made.look(
      parseStructure(`frontend www\n  http-request set-header a %[src,map(${path})]`),
      rereads,
    )
    return attachmentChanges(seen.running, seen.wanted)
  }
  const made = new Surroundings({ attachments } as unknown as HaproxyControl, { nowMs: () => nowMs } as Clock)
  return { made, asked, look }
}

test('what a plan reads from the disk is not wanted before it is applied', async () => {
  const path = join(directory, 'sites.map')
  await writeFile(path, 'a 1\n')
  const { look } = surroundings(new Map([[path, 'a 1\n']]))
  expect(await look(path, false)).toEqual({ commands: [], reasons: [] })
  await writeFile(path, 'a 1\nb 2\n')
  expect((await look(path, true)).commands).toEqual([{ kind: 'add map', path, key: 'b', value: '2' }])
  expect(await look(path, false)).toEqual({ commands: [], reasons: [] })
})

test('a file that is too large to be compared by its entries costs no reload while it stays the same', async () => {
  const path = join(directory, 'networks.map')
  const text = Array.from({ length: 100_000 }, (_, i) => `host-${i}.example.org the-value-of-it-is-${i}`).join('\n')
  await writeFile(path, text)
  const { look, asked } = surroundings(new Map([[path, text]]))
  expect(await look(path, false)).toEqual({ commands: [], reasons: [] })
  expect(await look(path, true)).toEqual({ commands: [], reasons: [] })
  expect(asked).toEqual([])
  await writeFile(path, `${text.slice(0, -1)}x`)
  expect((await look(path, true)).reasons).toEqual([`${path}: changed`])
})

test('a map in which a key comes to stand twice is compared as a whole', async () => {
  const path = join(directory, 'sites.map')
  await writeFile(path, 'a 1\n')
  const { look } = surroundings(new Map([[path, 'a 1\n']]))
  await look(path, false)
  await writeFile(path, 'a 1\na 2\n')
  expect((await look(path, true)).reasons).toEqual([`${path}: changed`])
})

test('what would begin a payload on the socket, or be two commands, is never said there', async () => {
  for (const line of ['a x<<', 'a<< x', 'a x<<%', 'a;b c', 'a b\\']) expect(parseEntries('map', line)).toBeUndefined()
  const odd = join(directory, 'a;b.map')
  await writeFile(odd, 'a 1\n')
  expect((await readAttachments([{ kind: 'map', path: odd }])).get(odd)?.kind).toBe('other')
})

test('an answer that shows no entries, but words, is not an empty map', () => {
  expect(parseShown('map', '[3]: Unknown map identifier. Please use #<id> or <file>.')).toBeUndefined()
  expect(parseShown('map', '')).toEqual({ kind: 'map', entries: new Map() })
})

test('a pipe or a device is not read', async () => {
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  const references = [pipe, '/dev/zero'].map(path => ({ kind: 'map', path }) as const)
  expect(await readAttachments(references)).toEqual(new Map())
})

test('a certificate in a directory is exchanged without a reload', async () => {
  const made = await rig()
  const own = dirname(made.config.configPath)
  const [certificates, template] = [join(own, 'certificates'), join(own, 't.hbs')]
  const pem = join(certificates, 'site.pem')
  await mkdir(certificates)
  await writeFile(pem, certificate(own, 'first.example'))
  await writeFile(
    template,
    `global
  stats socket {{settings.adminSocket}} mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 9s
  timeout server 9s
frontend www
  bind 127.0.194.1:${made.port} ssl crt ${certificates}
  http-request return status 200
`,
  )
  const balancer = await made.start()
  await balancer.apply({ ...made.config, template: { path: template } }, ORDER)
  await until(async () => (await balancer.plan()).method === 'nothing')
  await writeFile(pem, certificate(own, 'second.example'))
  expect((await balancer.plan()).commands).toEqual([`set ssl cert ${pem} <<`, `commit ssl cert ${pem}`])
  expect((await balancer.apply(undefined, ORDER))?.method).toBe('runtime')
  expect((await balancer.plan()).method).toBe('nothing')
})

const ORDER = { actor: 'operator', causes: [] }

function certificate(own: string, name: string): string {
  const [key, crt] = [join(own, `${name}.key`), join(own, `${name}.crt`)]
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...words, '-subj', `/CN=${name}`, '-keyout', key, '-out', crt], { stdio: 'ignore' })
  return execFileSync('cat', [crt, key], { encoding: 'utf8' })
}
