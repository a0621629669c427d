import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createApp } from './app.ts'
import { addEcho } from './echo.ts'

let directory: string
let server: Server
let url: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'muster-webapp-'))
  server = createServer(createApp({ ip: '10.0.0.7', host: 'web-1', tag: 'blue', ledgerPath: join(directory, 'ids') }))
  addEcho(server, { ip: '10.0.0.7', host: 'web-1' })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise(done => server.close(done))
  rmSync(directory, { recursive: true })
})

test('GET / says who answered, and counts the views of a session', async () => {
  const first = await fetch(url)
  expect(first.headers.get('x-backend-ip')).toBe('10.0.0.7')
  expect(await first.json()).toMatchObject({ ip: '10.0.0.7', host: 'web-1', tag: 'blue', sessionViews: 1 })
  const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? ''
  expect(cookie).toMatch(/^NODESESSID=/)
  const second = await fetch(`${url}/?id=abc`, { headers: { cookie } })
  expect(await second.json()).toMatchObject({ sessionViews: 2, id: 'abc' })
})

test('POST / leaves its id in the ledger every time it is executed, and refuses to run without one', async () => {
  for (const path of ['/?id=p1', '/?id=p2', '/?id=p1'])
    expect((await fetch(url + path, { method: 'POST' })).status).toBe(200)
  expect((await fetch(`${url}/?id=${encodeURIComponent('a\nb')}`, { method: 'POST' })).status).toBe(400)
  expect(readFileSync(join(directory, 'ids'), 'utf8')).toBe('p1\np2\np1\n')
})

test('POST /delay makes later requests wait, can be taken back, and refuses nonsense', async () => {
  const setDelay = (ms: unknown) =>
    fetch(`${url}/delay`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ms }),
    })
  expect((await setDelay(80)).status).toBe(200)
  const startedAtMs = performance.now()
  await fetch(url)
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(75)
  expect((await setDelay(0)).status).toBe(200)
  for (const bad of [-1, 'soon', null, 1e12]) expect((await setDelay(bad)).status).toBe(400)
})

test('a WebSocket at /ws sends back what it is sent, and nowhere else is one', async () => {
  const opened = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  let named: unknown
  opened.on('upgrade', answer => {
    named = answer.headers['x-backend-name']
  })
  await once(opened, 'open')
  opened.send('m1')
  const [echo] = (await once(opened, 'message')) as [Buffer]
  expect([named, echo.toString()]).toEqual(['web-1', 'm1'])
  opened.close()
  await once(opened, 'close')
  const [failure] = (await once(new WebSocket(`${url.replace('http', 'ws')}/other`), 'error')) as [Error]
  expect(failure.message).toMatch('404')
})

test('GET /.muster/ledger tells what was executed', async () => {
  await fetch(`${url}/?id=told`, { method: 'POST' })
  expect((await (await fetch(`${url}/.muster/ledger`)).text()).split('\n')).toContain('told')
})
