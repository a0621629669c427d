import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { seededRandom, silentLog, systemClock } from '../../base/index.ts'
import type { Serf } from './serf.ts'
import { startSerf } from './start-serf.ts'

const deps = { clock: systemClock, random: seededRandom(7), log: silentLog }

async function started(name: string): Promise<Serf> {
  const bind = { ip: '127.0.0.1', port: 0 }
  const serf = await startSerf({ name, bind, profile: 'local', tags: {} }, deps)
  onTestFinished(() => serf.stop())
  return serf
}

/** A peer that takes connections and never says a word. */
async function silentPeer(): Promise<{ address: string; asked: Promise<unknown>; hangUp(): void }> {
  const sockets = new Set<Socket>()
  const hangUp = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer(socket => void sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    hangUp()
    server.close()
  })
  const at = server.address()
  if (at === null || typeof at === 'string') throw new Error('no port')
  return { address: `127.0.0.1:${at.port}`, asked: once(server, 'connection'), hangUp }
}

test('an address that is silent holds up the join of no other', async () => {
  const [self, other, silent] = await Promise.all([started('self'), started('other'), silentPeer()])
  let isOver = false
  const stuck = self.join([silent.address], { ignoreOld: true }).finally(() => {
    isOver = true
  })
  await silent.asked
  const joined = await self.join([`127.0.0.1:${other.boundPort}`], { ignoreOld: true })
  expect(joined.contacted).toBe(1)
  expect(isOver).toBe(false)
  await self.stop()
  expect((await stuck).contacted).toBe(0)
})

test('a join that wants old events is let in although silent addresses are tried again and again', async () => {
  const [self, other] = await Promise.all([started('self'), started('other')])
  const [first, second] = await Promise.all([silentPeer(), silentPeer()])
  const stuck = self.join([first.address], { ignoreOld: true })
  await first.asked
  const order: string[] = []
  const wanted = self.join([`127.0.0.1:${other.boundPort}`], { ignoreOld: false }).then(() => order.push('wanted'))
  const again = self.join([second.address], { ignoreOld: true }).then(() => order.push('again'))
  void second.asked.then(() => order.push('second asked'))
  first.hangUp()
  await Promise.all([stuck, wanted, second.asked])
  second.hangUp()
  await again
  expect(order).toEqual(['wanted', 'second asked', 'again'])
})
