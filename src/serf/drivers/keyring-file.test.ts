import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { type Log, silentLog } from '../../base/index.ts'
import { Keyring } from '../../memberlist/index.ts'
import { decodeSerfMessage, encodeSerfMessage, type QueryMessage } from '../messages.ts'
import { answerKeys } from './key-answers.ts'
import { lastGoodKeyring, settleKeyringFile, writeKeyringFile } from './keyring-file.ts'

const [ONE, TWO] = ['AAECAwQFBgcICQoLDA0ODw==', 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=']
const raw = (key: string) => new Uint8Array(Buffer.from(key, 'base64'))
const keysIn = (path: string) => (JSON.parse(readFileSync(path, 'utf8')) as string[]).map(raw)
const modeOf = (path: string) => statSync(path).mode & 0o777

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'keyring-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('a ring is written as Serf writes it, the primary key first; a new file is private', async () => {
  const path = join(directory(), 'keys.json')
  await writeKeyringFile(path, new Keyring([raw(TWO), raw(ONE)]))
  expect(readFileSync(path, 'utf8')).toBe(`[\n  "${TWO}",\n  "${ONE}"\n]`)
  expect(modeOf(path)).toBe(0o600)
})

test('a file that is there keeps its mode, whatever the mask of the process, and a symbolic link stays one', async () => {
  const base = directory()
  const [real, path] = [join(base, 'real.json'), join(base, 'keys.json')]
  writeFileSync(real, JSON.stringify([ONE]))
  symlinkSync(real, path)
  for (const mode of [0o400, 0o664, 0o666]) {
    chmodSync(real, mode)
    await writeKeyringFile(path, new Keyring([raw(TWO)]))
    expect([modeOf(real), lstatSync(path).isSymbolicLink()]).toEqual([mode, true])
  }
  expect(keysIn(real)).toEqual([raw(TWO)])
  expect(readdirSync(base).sort()).toEqual(['keys.json', 'keys.json.last-good', 'real.json'])
})

test('a file that holds no ring is set aside, whatever it holds, and why is said without a part of a key', async () => {
  const path = join(directory(), 'keys.json')
  const ring = new Keyring([raw(TWO)])
  const said: string[] = []
  const log: Log = { ...silentLog, error: fields => void said.push(inspect(fields['reason'])) }
  const broken = [
    '',
    '[]',
    '{}',
    '["abc"]',
    '[7]',
    `["${ONE}", "!"]`,
    `["${ONE}"`,
    `[${ONE}]`,
    `"${' '.repeat(2 ** 20)}"`,
  ]
  for (const content of broken) {
    writeFileSync(path, content)
    await settleKeyringFile(path, ring, log)
    expect([keysIn(path), readFileSync(`${path}.set-aside`, 'utf8')]).toEqual([[raw(TWO)], content])
  }
  expect(said).toHaveLength(broken.length)
  expect(said).toContain("'it is not JSON'")
  expect(said.join()).not.toContain(ONE.slice(0, 6))
})

test('what is no file, or has no end, is neither read nor written', async () => {
  for (const other of ['/dev/zero', '/dev/full', directory()])
    await expect(writeKeyringFile(other, new Keyring([raw(ONE)]))).rejects.toMatchObject({
      code: 'SERF_KEYRING_FILE',
      message: `cannot use keyring file ${other}: it is no file`,
    })
  const path = join(directory(), 'keys.json')
  writeFileSync(path, '')
  truncateSync(path, 2 ** 40)
  await settleKeyringFile(path, new Keyring([raw(ONE)]), silentLog)
  expect([statSync(path).size, existsSync(lastGoodKeyring(path))]).toEqual([2 ** 40, false])
})

test('where nothing can be written the key query says so in the words of Serf, and the old file stays whole', async () => {
  const path = '/proc/nobody/keys.json'
  const payload = encodeSerfMessage({ type: 'keyRequest', key: raw(TWO) })
  const query = { name: '_serf_install-key', payload } as QueryMessage
  const keyring = new Keyring([raw(ONE)])
  const config = { keyring, keyringPath: path } as unknown as Parameters<typeof answerKeys>[1]
  const answer = decodeSerfMessage((await answerKeys(query, config, bytes => bytes)) as Uint8Array)
  expect(answer).toMatchObject({ type: 'keyResponse', result: false })
  expect(answer).toHaveProperty('message', expect.stringMatching(/^Failed to write keyring file: /))
  expect([keyring.keys.length, existsSync(path)]).toEqual([2, false])
})

test('a start keeps a copy of the ring, and puts it in place of a file that was torn; the link to it stays one', async () => {
  const base = directory()
  const [real, path] = [join(base, 'real.json'), join(base, 'keys.json')]
  const written = JSON.stringify([ONE, TWO])
  writeFileSync(real, written)
  symlinkSync(real, path)
  const ring = new Keyring([raw(ONE), raw(TWO)])
  await settleKeyringFile(path, ring, silentLog)
  expect(readFileSync(real, 'utf8')).toBe(written) // what is good is not written again
  expect(keysIn(lastGoodKeyring(path))).toEqual(ring.keys)
  writeFileSync(real, written.slice(0, 20))
  await settleKeyringFile(path, ring, silentLog)
  expect(keysIn(path)).toEqual(ring.keys)
  expect(lstatSync(path).isSymbolicLink()).toBe(true)
  expect(readFileSync(`${real}.set-aside`, 'utf8')).toBe(written.slice(0, 20))
})

test('a start removes what a killed agent has left of a new ring: keys are in it', async () => {
  const base = directory()
  const path = join(base, 'keys.json')
  const child = spawn('true')
  await once(child, 'exit')
  writeFileSync(path, JSON.stringify([ONE]))
  writeFileSync(`${path}.${child.pid}.tmp`, JSON.stringify([TWO]))
  await settleKeyringFile(path, new Keyring([raw(ONE)]), silentLog)
  expect(readdirSync(base).sort()).toEqual(['keys.json', 'keys.json.last-good'])
})

test('a pipe in place of the file, or a directory that cannot be written, keeps nobody from starting', async () => {
  const ring = new Keyring([raw(ONE)])
  for (const path of ['/dev/null', '/proc/self/status', '/nowhere/keys.json'])
    await expect(settleKeyringFile(path, ring, silentLog)).resolves.toBeUndefined()
})

test('a copy that cannot be renewed fails no key query, and is removed, since it would bring a removed key back', async () => {
  const path = join(directory(), 'keys.json')
  await writeKeyringFile(path, new Keyring([raw(ONE), raw(TWO)]))
  mkdirSync(`${lastGoodKeyring(path)}.${process.pid}.tmp`) // in the way of the new copy
  await writeKeyringFile(path, new Keyring([raw(TWO)]))
  expect(keysIn(path)).toEqual([raw(TWO)])
  expect(existsSync(lastGoodKeyring(path))).toBe(false)
})

test('what cannot replace a torn file leaves it where it is: there is a file at every moment', async () => {
  const path = join(directory(), 'keys.json')
  writeFileSync(path, '["AA')
  mkdirSync(`${path}.${process.pid}.tmp`) // as a full disk would be
  await settleKeyringFile(path, new Keyring([raw(ONE)]), silentLog)
  expect([readFileSync(path, 'utf8'), readFileSync(`${path}.set-aside`, 'utf8')]).toEqual(['["AA', '["AA'])
})
