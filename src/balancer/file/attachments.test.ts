import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../../base/index.ts'
import { classicTemplate, endAll, rig, until } from '../../testing/index.ts'
import { attachmentChanges, parseEntries, parseShown, type Reference, references } from './attachments.ts'
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
  const bind = `127.0.194.1:${made.port} ssl crt ${certificates}`
  await writeFile(template, classicTemplate({ bind, frontend: 'http-request return status 200' }))
  const balancer = await made.start()
  await balancer.apply({ ...made.config, template: { path: template } }, ORDER)
  await until(async () => (await balancer.plan()).method === 'nothing')
  await writeFile(pem, certificate(own, 'second.example'))
  expect((await balancer.plan()).commands).toEqual([`set ssl cert ${pem} <<`, `commit ssl cert ${pem}`])
  expect((await balancer.apply(undefined, ORDER))?.method).toBe('runtime')
  expect((await balancer.plan()).method).toBe('nothing')
})

test('another chain beside the same certificate is sent to HAProxy, also when it has changed while no agent ran', async () => {
  const made = await rig()
  const own = dirname(made.config.configPath)
  const [template, pem] = [join(own, 't.hbs'), join(own, 'site.pem')]
  const [leaf, first, second] = ['leaf', 'first', 'second'].map(name => certificate(own, `${name}.example`)) as [
    string,
    string,
    string,
  ]
  const issuer = (text: string) => text.slice(0, text.indexOf('-----BEGIN PRIVATE'))
  await writeFile(pem, leaf + issuer(first))
  await writeFile(
    template,
    whole(
      `  crt-base ${own}/`,
      `frontend www\n  bind 127.0.194.1:${made.port} ssl crt site.pem\n  http-request return status 200`,
    ),
  )
  const balancer = await made.start()
  const config = { ...made.config, template: { path: template } }
  await balancer.apply(config, ORDER)
  const exchanged = [`set ssl cert ${own}//site.pem <<`, `commit ssl cert ${own}//site.pem`]
  for (const chain of [issuer(second), issuer(first) + issuer(second), '']) {
    await writeFile(pem, leaf + chain)
    expect((await balancer.plan()).commands).toEqual(exchanged)
    expect((await balancer.apply(undefined, ORDER))?.method).toBe('runtime')
    expect((await balancer.plan()).method).toBe('nothing')
    const sent = chainOf(made.port)
    expect(sent).toEqual([leaf, ...(chain === '' ? [] : chain.split(/(?<=END CERTIFICATE-----\n)/))].map(bodyOf))
  }
  await balancer.stop({ keepHaproxy: true })
  await writeFile(pem, leaf + issuer(first))
  const next = await made.start()
  await next.apply(config, ORDER)
  expect(chainOf(made.port)).toEqual([leaf, first].map(bodyOf))
}, 20_000)

test('what servers are trusted by, and our certificates for them, are noticed when they change, also under ca-base and crt-base', async () => {
  const made = await rig()
  const own = dirname(made.config.configPath)
  const template = join(own, 't.hbs')
  const files = ['a', 'b', 'c', 'd', 'e'].map(name => join(own, `${name}.pem`))
  for (const path of files) await writeFile(path, certificate(own, 'first.example'))
  await writeFile(
    template,
    whole(
      `  ca-base ${own}\n  crt-base ${own}`,
      `frontend www
  bind 127.0.194.1:${made.port}
  http-request return status 200
backend web
  server a 127.0.194.2:80 ssl verify required ca-file ${own}/a.pem
  server b 127.0.194.2:80 ssl verify required ca-file b.pem crt c.pem
  default-server ssl verify none crt d.pem
.if 1
  server d 127.0.194.2:80 ssl verify required ca-file e.pem
.endif`,
    ),
  )
  const balancer = await made.start()
  await balancer.apply({ ...made.config, template: { path: template } }, ORDER)
  for (const path of files) {
    expect((await balancer.plan()).method).toBe('nothing')
    await writeFile(path, certificate(own, 'second.example'))
    const reasons = [expect.stringMatching(new RegExp(`${path.slice(-5)}: changed$`)) as unknown]
    expect(await balancer.apply(undefined, ORDER)).toMatchObject({ method: 'reload', reasons })
  }
}, 20_000)

test('where a pool’s servers are asked for certificates, the authority’s file is one of those that are looked at', () => {
  const text =
    'backend web\n  server slot1 127.0.0.1:1 id 1 ssl verify required ca-file /etc/ca.pem sni str(x) check weight 1'
  expect(references(parseStructure(text))).toEqual([{ kind: 'other', path: '/etc/ca.pem' }])
})

test('programs of HAProxy’s own and pages that it answers with are looked at, too', () => {
  const text = 'global\n  lua-load /etc/a.lua\nfrontend www\n  http-request return status 200 file /etc/page.html\n'
  expect(references(parseStructure(text)).map(({ path }) => path)).toEqual(['/etc/a.lua', '/etc/page.html'])
})

/** A file with lines of its own in `global`, and sections. */
function whole(global: string, sections: string): string {
  return `global
  stats socket {{settings.adminSocket}} mode 600 level admin
${global}
defaults
  mode http
  timeout connect 1s
  timeout client 9s
  timeout server 9s
${sections}
`
}

/** The certificates that a client is sent, each as base64. */
function chainOf(port: number): string[] {
  const words = ['s_client', '-connect', `127.0.194.1:${port}`, '-showcerts']
  const shown = execFileSync('openssl', words, { input: '', encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] })
  return shown
    .split(/(?<=END CERTIFICATE-----\n)/)
    .slice(0, -1)
    .map(bodyOf)
}

/** The first certificate in it. */
function bodyOf(pem: string): string {
  return /-----BEGIN CERTIFICATE-----(.*?)-----END/s.exec(pem)?.[1]?.replaceAll('\n', '') ?? ''
}

const ORDER = { actor: 'operator', causes: [] }

function certificate(own: string, name: string): string {
  const [key, crt] = [join(own, `${name}.key`), join(own, `${name}.crt`)]
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...words, '-subj', `/CN=${name}`, '-keyout', key, '-out', crt], { stdio: 'ignore' })
  return execFileSync('cat', [crt, key], { encoding: 'utf8' })
}
