import { expect, onTestFinished, test } from 'vitest'
import { addressesIn, answerTo, question } from '../records.ts'
import { MulticastSockets } from './multicast.ts'

/** On loopback, where nobody else hears it. */
const LOOPBACK = { interface: 'lo', ipv4: true, ipv6: false }

function agent(port: number) {
  const found = new Set<number>()
  const waiting: (() => void)[] = []
  const sockets = new MulticastSockets(LOOPBACK, {
    asked: packet =>
      answerTo(packet, { cluster: `test-${process.pid}`, node: `n${port}`, at: { ip: '127.0.0.1', port } }),
    answered(packet) {
      for (const at of addressesIn(packet, `test-${process.pid}`, true)) found.add(at.port)
      for (const wake of waiting.splice(0)) wake()
    },
  })
  onTestFinished(() => sockets.close())
  const hears = async (ports: number[]) => {
    while (!ports.every(one => found.has(one))) await new Promise<void>(done => waiting.push(done))
  }
  const ask = () => sockets.ask(question(`test-${process.pid}`, 1))
  return { sockets, ask, hears }
}

test('several agents of one host hear each other and themselves, question by question', async () => {
  const [a, b] = [agent(1), agent(2)]
  expect(await a.ask()).toEqual({ links: 1, failures: [] })
  await a.hears([1])
  expect(await b.ask()).toEqual({ links: 1, failures: [] })
  await b.hears([1, 2])
  await a.ask()
  await a.hears([1, 2])
})

test('a host without such an interface asks on no link; closed twice, or before it has asked, is no harm', async () => {
  const sockets = new MulticastSockets(
    { interface: 'none-such', ipv4: true, ipv6: true },
    { asked: () => undefined, answered: () => undefined },
  )
  expect(await sockets.ask(question('x', 1))).toEqual({ links: 0, failures: [] })
  sockets.close()
  sockets.close()
  expect(await sockets.ask(question('x', 1))).toEqual({ links: 0, failures: [] })
})
