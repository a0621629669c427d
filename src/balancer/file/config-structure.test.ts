import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStructure, structuralDifferences, withDisabled } from './config-structure.ts'

const GOOD = `# a file
global
  maxconn 50
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend www
  bind 127.0.198.21:8099
  http-request set-header x "a b"
  default_backend web
backend web
  balance roundrobin
  server slot1 127.0.198.22:80 check weight 3 # web-1
  server slot2 127.0.198.23:80 check weight 1 maxconn 9 disabled
`

/** What an editor, a copy from a page or a slip puts somewhere; some of it JavaScript calls white space, and HAProxy does not. */
const SLIPS = [
  ...['\uFEFF', '\u00A0', '\u2028', '\u2003', '\v', '\f', '\r', '\t', ' ', '\0', '#', '"', "'", '\\', '\n', '0', '9'],
  ...[
    ' weight 999',
    ' "weight 2"',
    ' weight 7 ',
    ' # note',
    '\nnonsense',
    ':99999',
    '\\"',
    '" "',
    '$HOME',
    '\n.if 1\n',
  ],
]

const slip = fc.record({
  at: fc.nat(GOOD.length),
  cut: fc.constantFrom(0, 0, 0, 1, 2),
  what: fc.constantFrom('', ...SLIPS),
})
const slipped = fc
  .array(slip, { minLength: 1, maxLength: 2 })
  .map(slips => slips.reduce((text, { at, cut, what }) => text.slice(0, at) + what + text.slice(at + cut), GOOD))

function isSame(text: string): boolean {
  return structuralDifferences(parseStructure(GOOD), parseStructure(text)).length === 0
}

/** Whether HAProxy takes this file. */
async function isAccepted(path: string, text: string): Promise<boolean> {
  await writeFile(path, text.endsWith('\n') ? text : `${text}\n`)
  return new Promise((resolve, reject) => {
    execFile('haproxy', ['-c', '-f', path], error => {
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve(error === null)
    })
  })
}

test('what the comparison calls the same as a file that HAProxy takes, HAProxy takes, too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'same-'))
  const path = join(directory, 'haproxy.cfg')
  let same = 0
  try {
    expect(await isAccepted(path, GOOD)).toBe(true)
    const holds = fc.asyncProperty(slipped, async text => {
      fc.pre(text !== GOOD && isSame(text))
      same++
      return isAccepted(path, text)
    })
    await fc.assert(holds, { numRuns: Number(process.env['SAME_RUNS'] ?? 30), maxSkipsPerRun: 1_000 })
  } finally {
    await rm(directory, { recursive: true })
  }
  expect(same).toBeGreaterThan(0)
})

test('only spaces, tabs, plain quotes and the carriage return at the end of a line leave no trace', () => {
  for (const space of ['\u00A0', '\u2028', '\uFEFF', '\u3000', '\v', '\r'])
    expect(isSame(GOOD.replace('  default_backend', `${space} default_backend`))).toBe(false)
  expect(isSame(`\uFEFF${GOOD}`)).toBe(false)
  expect(isSame(`nonsense\n${GOOD}`)).toBe(false)
  expect(isSame(GOOD.replace('# a file', '# a \0file'))).toBe(false)
  expect(isSame(GOOD.replace('check weight 3', '"check weight 3"'))).toBe(false)
  expect(isSame(GOOD.replace('"a b"', "'a b'"))).toBe(false) // of the two HAProxy expands variables in one
  expect(isSame(GOOD.replaceAll('\n  ', '\r\n\t').replace('balance', '"balance"'))).toBe(true)
})

test('a server is put into maintenance in the file of HAProxy, whose words JavaScript would part elsewhere', () => {
  expect(withDisabled('backend web\n\tserver a 10.0.0.1:80\tcheck\r\n', ['web/a'])).toBe(
    'backend web\n\tserver a 10.0.0.1:80 disabled\tcheck\r\n',
  )
  expect(withDisabled('backend web\n\u00A0server a 10.0.0.1:80\n', ['web/a'])).toBe(
    'backend web\n\u00A0server a 10.0.0.1:80\n',
  )
})

test('in a reason stands what has changed of a line, and not what it begins with', () => {
  const reasons = (before: string, after: string) =>
    structuralDifferences(parseStructure(`backend web\n${before}`), parseStructure(`backend web\n${after}`))
  const line = 'default-server inter 2s fall 3 rise 2'
  expect(reasons(line, line.replace('3', '5'))).toEqual(['backend web: default-server fall 3 → 5 changed'])
  expect(reasons(line, 'default-server inter 1s fall 3 rise 4')).toEqual([
    'backend web: default-server inter 2s → 1s rise 2 → 4 changed',
  ])
  expect(reasons(line, `${line} port 80`)).toEqual(['backend web: default-server changed'])
  expect(reasons(line, `${line}\ndefault-server maxconn 9`)).toEqual(['backend web: default-server maxconn changed'])
  expect(reasons('', line)).toEqual(['backend web: default-server changed'])
  expect(reasons('stick-table type ip size 1k', 'stick-table type ip size 2k')).toEqual([
    'backend web: stick-table size 1k → 2k changed',
  ])
  expect(reasons('timeout server 9s', 'timeout server 8s')).toEqual(['backend web: timeout server changed'])
})

test('a key of cookies that stands under a condition, or beside another, is no command', () => {
  const keys = (lines: string) => {
    const file = (key: string) => parseStructure(`backend web\n${lines.replaceAll('KEY', key)}`)
    return structuralDifferences(file('a'), file('b')).length
  }
  expect(keys('dynamic-cookie-key KEY')).toBe(0)
  expect(keys('.if 1\ndynamic-cookie-key KEY\n.endif')).toBe(1)
  expect(keys('dynamic-cookie-key KEY\ndynamic-cookie-key c')).toBe(1)
  expect(keys('dynamic-cookie-key "the KEY"')).toBe(1)
  expect(keys('defaults\ndynamic-cookie-key KEY')).toBe(1)
})

test('a line is read by what stands around it, not by what was read before', () => {
  const known = new Map()
  const servers = (text: string) => parseStructure(text, known).flatMap(section => section.servers)
  const line = '  server a 10.0.0.1:80\n'
  expect(servers(`backend web\n${line}`)).toMatchObject([{ checked: false, agentChecked: false }])
  expect(servers(`backend web\n.if 1\n${line}.endif\nring r\n${line}peers p\n${line}`)).toEqual([])
  expect(servers(`backend web\n  default-server check\n${line}`)).toMatchObject([{ checked: true }])
  expect(servers(`defaults\n  default-server agent-check\nbackend web\n${line}`)).toMatchObject([
    { agentChecked: true },
  ])
  expect(servers(`backend web\n.if 1\n  default-server check\n.endif\n${line}`)).toMatchObject([{ checked: false }])
  expect(servers(`backend web\n.if 1\n.endif\n${line}`)).toMatchObject([{ name: 'a', checked: false }])
})

test('only a server of the backend that is meant is put into maintenance, not one of that name in a section below it', () => {
  const file = (words: string) => `backend web\n  server a 10.0.0.1:80${words}\npeers p\n  server a 10.0.0.1:80\n`
  expect(withDisabled(file(''), ['web/a'])).toBe(file(' disabled'))
})
