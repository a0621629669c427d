import { expect, test } from 'vitest'
import { decodeMsgpack, encodeMsgpack } from '../../codec/index.ts'
import { takenText } from './agent.ts'
import { startupComplaints } from './agent-checks.ts'
import { readTarget } from './connect.ts'
import { parseFlags } from './go-flags.ts'
import { columns, goSyntax, jsonText, quoted, trimmed } from './go-text.ts'

const SPEC = { format: 'text', tag: 'list', verbose: 'boolean', timeout: 'duration', factor: 'integer' } as const

test("options are read as Go's flag package reads them", () => {
  expect(parseFlags(SPEC, ['-format', 'json', '--tag=a=b', '-tag', 'c', '-verbose', 'x', '-format=y'])).toMatchObject({
    flags: { format: 'json', tag: ['a=b', 'c'], verbose: true },
    rest: ['x', '-format=y'],
  })
  expect(parseFlags(SPEC, ['-verbose=F', '--', '-x'])).toMatchObject({ flags: { verbose: false }, rest: ['-x'] })
  expect(parseFlags(SPEC, ['-'])).toMatchObject({ rest: ['-'] })
  expect(parseFlags(SPEC, ['-timeout=1h1.5s', '-factor', '0x1f'])).toMatchObject({
    flags: { timeout: 3_601_500_000_000, factor: 31 },
  })
})

test.each([
  ['-nosuch', 'flag provided but not defined: -nosuch'],
  ['---x', 'bad flag syntax: ---x'],
  ['-=x', 'bad flag syntax: -=x'],
  ['-format', 'flag needs an argument: -format'],
  ['-timeout=abc', 'invalid value "abc" for flag -timeout: parse error'],
  ['-factor=9223372036854775808', 'invalid value "9223372036854775808" for flag -factor: value out of range'],
  ['-verbose=maybe', 'invalid boolean value "maybe" for -verbose: parse error'],
  ['--help', undefined],
])('%s is refused in its words', (text, failure) => {
  expect(parseFlags(SPEC, [text])).toEqual({ failure })
})

test('text is quoted as strconv.Quote does, bytes that are no text one by one', () => {
  expect(quoted('a"\\\n\u0007é€😀\u00a0\u200b\u0001\u{e0001}')).toBe(
    '"a\\"\\\\\\n\\aé€😀\\u00a0\\u200b\\x01\\U000e0001"',
  )
  expect(quoted(Uint8Array.of(0xff, 0x41, 0xe2, 0x82, 0xed, 0xa0, 0x80))).toBe('"\\xffA\\xe2\\x82\\xed\\xa0\\x80"')
})

test('JSON is that of encoding/json: angle brackets escaped, empty lists and maps on one line', () => {
  expect(jsonText({ a: [], b: {}, c: [1, '<&>\u2028\u0008\u007f'], d: null })).toBe(
    '{\n  "a": [],\n  "b": {},\n  "c": [\n    1,\n    "\\u003c\\u0026\\u003e\\u2028\\u0008\u007f"\n  ],\n  "d": null\n}',
  )
  expect(jsonText(Uint8Array.of(0xff, 0x0a))).toBe('"\\ufffd\\n"')
})

test('columns split at bars, trim cells, and do not pad the last one', () => {
  expect(columns(['é | b|', 'long|x|y'])).toBe('é     b  \nlong  x  y')
  expect(trimmed('\u0085\t a \n')).toBe('a')
})

test('event fields are printed in Go syntax: large integers in hexadecimal, bytes by the place they stand in', () => {
  const record = decodeMsgpack(
    encodeMsgpack({ a: 127, b: 128, p: Uint8Array.of(1), l: [Uint8Array.of(2), null] }, 'new'),
  )
  const fields = record.value as Map<string, Parameters<typeof goSyntax>[0]>
  expect(Array.from(fields.values(), value => goSyntax(value))).toEqual([
    '127',
    '0x80',
    '[]interface {}{[]uint8{0x2}, interface {}(nil)}',
    '[]byte{0x1}',
  ])
})

test.each([
  ['', 'missing address'],
  ['foo', 'address foo: missing port in address'],
  ['::1', 'address ::1: too many colons in address'],
  ['[::1', "address [::1: missing ']' in address"],
  ['127.0.0.1:99999', 'address 99999: invalid port'],
  ['127.0.0.1:xyz', 'address tcp/xyz: unknown port'],
])('the address "%s" is refused in the words of the dialer', (text, words) => {
  expect(readTarget(text)).toBe(words)
})

test('an address is a host and a port, the host perhaps empty', () => {
  expect([readTarget('[::1]:5'), readTarget(':1'), readTarget('host:http')]).toEqual([
    { host: '::1', port: 5 },
    { host: '', port: 1 },
    { host: 'host', port: 80 },
  ])
})

test('an address that another has is said as Serf says it, by what it was for', () => {
  const cause = Object.assign(new Error(), { code: 'EADDRINUSE', address: '10.0.0.1', port: 7373 })
  const failure = new Error('in use', { cause })
  const listen = 'listen tcp 10.0.0.1:7373: bind: address already in use'
  expect(takenText(failure, '10.0.0.1:7373')).toBe(`Error starting RPC listener: ${listen}`)
  expect(takenText(failure, '10.0.0.1:7374')).toContain(
    `Failed to start TCP listener on "10.0.0.1" port 7373: ${listen}`,
  )
  expect(takenText(new Error('else'), '10.0.0.1:7374')).toBeUndefined()
})

test.each([
  [['tag', '=v'], "Error: Invalid tag: '=v'"],
  [['retry-interval', '5'], 'Error: time: missing unit in duration "5"'],
  [['retry-interval', '5s3'], 'Error: time: missing unit in duration "5s3"'],
  [['retry-interval', '1h5q'], 'Error: time: unknown unit "q" in duration "1h5q"'],
  [['event-handler', 'member-join,bogus=x.sh'], "Invalid event script: Event 'bogus' invoking 'x.sh'"],
  [['encrypt', 'AA==A'], 'Invalid encryption key: illegal base64 data at input byte 4'],
  [['advertise', '::1'], 'Invalid advertise address: address ::1: too many colons in address'],
])('serf agent with %j is refused in the words of Serf', ([name = '', value = ''], words) => {
  expect(startupComplaints([{ name, value }])).toEqual({ lines: [words], isFatal: true })
})

test('serf agent warns before it starts, and starts', () => {
  const given = { rejoin: 'true', role: 'web', 'retry-interval': '1ms', 'broadcast-timeout': '2s' }
  const flags = Object.entries(given).map(([name, value]) => ({ name, value }))
  expect(startupComplaints(flags)).toEqual({
    lines: [
      "Deprecation warning: 'Role' has been replaced with 'Tags'",
      "Warning: 'RetryInterval' is too low. Setting to 1s",
      "Warning: 'RejoinAfterLeave' enabled without snapshot file",
      'Starting Serf agent...',
    ],
    isFatal: false,
  })
})

test('the checks read neither a pipe, which can be read once, nor a device without an end', () => {
  const flags = [
    { name: 'config-file', value: '/dev/zero' },
    { name: 'keyring-file', value: '/dev/zero' },
  ]
  expect(startupComplaints(flags)).toEqual({ lines: ['Starting Serf agent...'], isFatal: false })
})
