import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { seededRandom, systemClock } from '../../base/index.ts'
import { KINDS } from '../kinds.ts'
import { startLoad } from './load.ts'

/** A certificate that nobody has signed but itself. */
function selfSigned(): { key: Buffer; cert: Buffer } {
  const directory = mkdtempSync(join(tmpdir(), 'prove-tls-'))
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=prove']
  execFileSync('openssl', ['req', ...made, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const pair = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(directory, { recursive: true })
  return pair
}

test('over TLS all kinds work; a self-signed certificate is accepted only when asked for', async () => {
  const server = createServer(selfSigned(), (_request, response) => response.end('good'))
  const sockets = new WebSocketServer({ server, path: '/ws' })
  sockets.on('connection', socket => socket.on('message', data => socket.send(String(data as Buffer))))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/?a=b`
  const rates = Object.fromEntries(KINDS.map(kind => [kind, 50]))
  const stats = []
  for (const insecure of [true, false]) {
    const load = startLoad({ url, rates, insecure }, { clock: systemClock, random: seededRandom(5) })
    while (load.counts().sent < 60) await new Promise(resolve => setImmediate(resolve))
    stats.push(await load.stop())
  }
  const [accepted, refused] = stats
  expect(accepted).toMatchObject({ lost: 0, good: accepted?.sent })
  expect(Object.keys(accepted?.kinds ?? {})).toEqual([...KINDS])
  expect(refused).toMatchObject({ good: 0, lost: refused?.sent })
  expect(refused?.failures[0]?.what).toMatch('DEPTH_ZERO_SELF_SIGNED_CERT')
  server.closeAllConnections()
  await new Promise(done => server.close(done))
})
