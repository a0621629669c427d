import { once } from 'node:events'
import { linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { collectExecuted } from './collect.ts'

let directory = ''
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'collect-'))))
afterEach(() => rmSync(directory, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

function identityOf(path: string): string {
  const { dev, ino, birthtimeNs } = statSync(path, { bigint: true })
  return `file ${dev}-${ino}-${birthtimeNs}`
}

/** A server that answers with a ledger. */
async function answering(text: string, identity?: string) {
  const server = createServer((_asked, answer) => {
    if (identity !== undefined) answer.setHeader('x-muster-ledger', identity)
    answer.end(text)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/.muster/ledger`,
    [Symbol.asyncDispose]: async () => void (await new Promise(done => server.close(done))),
  }
}

test('the ids of several ledgers are put together, each as often as it is in them', async () => {
  const found = await collectExecuted([file('one', 'a\nb\n'), file('other', 'b\nc\n')])
  expect(found).toEqual({ ids: ['a', 'b', 'b', 'c'], isWhole: true, objections: [], notes: [] })
})

test('one file under two names counts once', async () => {
  const path = file('one', 'a\nb\n')
  linkSync(path, join(directory, 'other'))
  const { ids, objections, notes } = await collectExecuted([path, path, join(directory, 'other')])
  expect({ ids, objections, notes: notes.length }).toEqual({ ids: ['a', 'b'], objections: [], notes: 2 })
})

test('a file and the address that answers with it count once, with what was written in between', async () => {
  const path = file('one', 'a\nb\n')
  await using server = await answering('a\nb\nc\n', identityOf(path))
  const found = await collectExecuted([path, server.url])
  expect(found).toMatchObject({ ids: ['a', 'b', 'c'], isWhole: true, objections: [] })
  expect(found.notes).toEqual([`the ledgers ${path} and ${server.url} are one, and count once`])
})

test('two ledgers that are alike are two, and the doubt is told', async () => {
  const found = await collectExecuted([file('one', 'a\n'), file('other', 'a\n')])
  expect(found).toMatchObject({ ids: ['a', 'a'], isWhole: true, objections: [] })
  expect(found.notes).toEqual([expect.stringContaining('the same lines in the same order')])
})

test('an address that does not say which ledger it has proves nothing where it is like another one', async () => {
  await using server = await answering('a\n')
  const { ids, objections } = await collectExecuted([file('one', 'a\n'), server.url])
  expect({ ids, objections }).toEqual({ ids: ['a'], objections: [expect.stringContaining('name it once')] })
})

test('a ledger that cannot be read, or is full, is named, and what is missing is not held against anybody', async () => {
  const found = await collectExecuted([join(directory, 'none'), file('one', 'a\n# full\n')])
  expect(found).toMatchObject({ ids: ['a'], isWhole: false })
  expect(found.objections).toEqual([
    expect.stringMatching(/none cannot be read: ENOENT/),
    expect.stringMatching(/one is full/),
  ])
})
