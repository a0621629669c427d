/** What gossip costs: pings that an agent answers per second of its processor, and this process's codec alone. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import * as msgpack from '@msgpack/msgpack'
import { systemRandom } from '../src/base/index.ts'
import { type Alive, decodeMessage, encodeMessage, Keyring, openPacket, sealPacket } from '../src/memberlist/index.ts'
import type { Part } from '../test/parts.ts'
import type { Bench } from './bench.ts'
import { onLoopback } from './place.ts'
import { processorMs } from './processor.ts'
import { Ring, type RingMake } from './ring.ts'
import { head, row } from './table.ts'

const NET = '127.0.68'
const PINGS = 20_000
/** Unanswered at a time: what a socket's buffer holds easily. */
const WINDOW = 32
/** Without an answer for so long, a window counts as lost. */
const PATIENCE_MS = 1_000
const REPETITIONS = 5
const CODEC_ROUNDS = 200_000
const KEY = Buffer.alloc(16, 7)

interface Wire {
  readonly name: string
  readonly keyring: Keyring | undefined
  /** Where the two agents are. */
  readonly hosts: Readonly<Record<RingMake, number>>
}

const WIRES: readonly Wire[] = [
  { name: 'plain', keyring: undefined, hosts: { serf: 1, muster: 2 } },
  { name: 'encrypted', keyring: new Keyring([KEY]), hosts: { serf: 3, muster: 4 } },
]

export async function packetsTable(bench: Bench): Promise<void> {
  console.log(head('pings answered per s of one processor', 'serf'))
  for (const wire of WIRES) {
    await using ring = new Ring(onLoopback(NET), bench.directory)
    const flags = wire.keyring === undefined ? [] : [`-encrypt=${KEY.toString('base64')}`]
    const agents = {
      muster: ring.agent('muster', wire.hosts.muster, false, flags),
      serf: ring.agent('serf', wire.hosts.serf, false, flags),
    }
    for (const host of Object.values(wire.hosts)) await ring.client(host)
    ring.hangUp()
    const rates = { muster: [] as number[], serf: [] as number[] }
    for (let i = 0; i < REPETITIONS; i++)
      for (const make of ['muster', 'serf'] as const) {
        bench.note(`${PINGS} pings to ${make}, ${wire.name}`)
        rates[make].push(await answeredPerSecond(wire, make, agents[make]))
      }
    bench.each(wire.name, rates)
    console.log(row(`${wire.name} (n=${REPETITIONS})`, rates.muster, rates.serf))
  }
  codecRows()
}

/** Pings with the agent's own name, each answered by an ack, per second of its processor's time. */
async function answeredPerSecond({ keyring, hosts }: Wire, make: RingMake, agent: Part): Promise<number> {
  const host = hosts[make]
  const pid = agent.child.pid as number
  const socket = createSocket('udp4').bind(0, `${NET}.100`)
  await once(socket, 'listening')
  const beforeMs = processorMs(pid)
  const answered = await pingAll(socket, host, keyring)
  const agentMs = processorMs(pid) - beforeMs
  socket.close()
  return answered / (agentMs / 1_000)
}

/** A window at a time. @returns how many acks came */
async function pingAll(socket: Socket, host: number, keyring: Keyring | undefined): Promise<number> {
  let acks = 0
  let waiting = 0
  let refill = (): void => undefined
  socket.on('message', packet => {
    for (const part of openPacket(packet, { keyring })) if (decodeMessage(part).type === 'ack') acks++
    if (--waiting === 0) refill()
  })
  for (let sent = 0; sent < PINGS; sent += WINDOW) {
    waiting = WINDOW
    const all = new Promise<void>(resolve => (refill = resolve))
    for (let i = 0; i < WINDOW; i++)
      for (const packet of ping(sent + i, host, keyring)) socket.send(packet, 7946, `${NET}.${host}`)
    await Promise.race([all, new Promise(resolve => setTimeout(resolve, PATIENCE_MS).unref())])
  }
  return acks
}

function ping(seqNo: number, host: number, keyring: Keyring | undefined): Uint8Array[] {
  const message = encodeMessage({ type: 'ping', seqNo, node: `n${host}` })
  return sealPacket([message], { crc: false, compress: false, keyring, random: systemRandom })
}

/** The codec without sockets: an announcement with tags, beside the usual msgpack package for JavaScript. */
function codecRows(): void {
  const alive: Alive = {
    type: 'alive',
    incarnation: 7,
    node: 'web-17.example.org',
    addr: Uint8Array.of(10, 1, 2, 3),
    port: 7946,
    meta: Buffer.from('role=backend;pool.www=10.1.2.3:3000;zone=a'),
    vsn: [1, 5, 2, 2, 5, 4],
    vsnBytes: 6,
  }
  const part = encodeMessage(alive)
  const body = part.subarray(1)
  const record = msgpack.decode(body)
  const rates = (act: () => unknown) => Array.from({ length: REPETITIONS }, () => perSecond(act))
  console.log(head('an announcement per s of one processor', 'msgpack-js'))
  console.log(
    row(
      'decoded',
      rates(() => decodeMessage(part)),
      rates(() => msgpack.decode(body)),
    ),
  )
  console.log(
    row(
      'encoded',
      rates(() => encodeMessage(alive)),
      rates(() => msgpack.encode(record)),
    ),
  )
}

function perSecond(act: () => unknown): number {
  const startedAtMs = performance.now()
  for (let i = 0; i < CODEC_ROUNDS; i++) act()
  return CODEC_ROUNDS / ((performance.now() - startedAtMs) / 1_000)
}
