import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { expect, test } from 'vitest'
import { type LedgerOptions, openLedger } from './executed-ledger.ts'

async function serve(options: LedgerOptions) {
  const ledger = openLedger(options)
  const app = express()
  app.use(ledger.middleware)
  app.all('/{*any}', (_request, response) => void response.end('done'))
  const server = createServer(app)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
      ledger.close()
    },
  }
}

test('each unsafe request leaves its id, as often as it ran; GETs and requests without an id leave nothing', async () => {
  await using app = await serve({})
  for (const path of ['/a?id=p1', '/?id=p1', '/']) await fetch(app.url + path, { method: 'POST' })
  await fetch(app.url, { method: 'PUT', headers: { 'x-request-id': 'p2' } })
  await fetch(`${app.url}/?id=g1`)
  expect(await (await fetch(`${app.url}/.muster/ledger`)).text()).toBe('p1\np1\np2\n')
})

test('targets that are no URL are answered by a server without a framework, and their ids, if any, are kept', async () => {
  const ledger = openLedger()
  const server = createServer((request, response) => ledger.middleware(request, response, () => response.end('done')))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const hostile = ['//', '///', '//?id=p1', 'http://', 'http://?id=p2', 'http://[/', '*', '/%', '/?id=%', '/#?id=h']
  for (const target of [...hostile, `/?${'id=&'.repeat(3000)}`, `/${'a/../'.repeat(2500)}`]) {
    const socket = connect(port, '127.0.0.1')
    socket.write(`POST ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
    expect(await text(socket), target.slice(0, 20)).toMatch(/^HTTP\/1\.1 200 OK[^]*done/)
  }
  expect(ledger.text()).toBe('p1\np2\n%\n')
  await new Promise(done => server.close(done))
  ledger.close()
})

test('a file keeps the ids before the answer, is appended to by the next server, and takes no line that is none', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ledger-'))
  const file = join(directory, 'executed')
  for (const round of [1, 2]) {
    await using app = await serve({ file, answers: false })
    await fetch(`${app.url}/?id=${round}`, { method: 'POST' })
    await fetch(`${app.url}/?id=${encodeURIComponent('a\nb')}`, { method: 'POST' })
    await fetch(`${app.url}/?id=${encodeURIComponent('# full')}`, { method: 'POST' })
    expect(await (await fetch(`${app.url}/.muster/ledger`)).text()).toBe('done')
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(round)
  }
  rmSync(directory, { recursive: true })
})

test('each answer says which ledger it is: the file, whoever answers with it, or this one in memory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ledger-'))
  const file = join(directory, 'executed')
  const named = async ({ url }: { url: string }) =>
    (await fetch(`${url}/.muster/ledger`)).headers.get('x-muster-ledger')
  try {
    await using one = await serve({ file })
    await using other = await serve({ file })
    await using memory = await serve({})
    await using another = await serve({})
    const { dev, ino, birthtimeNs } = statSync(file, { bigint: true })
    expect([await named(one), await named(other)]).toEqual(Array(2).fill(`file ${dev}-${ino}-${birthtimeNs}`))
    expect(await named(memory)).toBe(await named(memory))
    expect(await named(memory)).not.toBe(await named(another))
  } finally {
    rmSync(directory, { recursive: true })
  }
})
