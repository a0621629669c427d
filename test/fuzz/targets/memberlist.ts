import { assert, ipToBytes, type Random, seededRandom } from '../../../src/base/index.ts'
import { CodecError } from '../../../src/codec/index.ts'
import {
  decodeMessage,
  encodeMessage,
  Keyring,
  openPacket,
  PACKET_BYTES_MAX,
  PacketRefusedError,
  PROFILES,
  sealPacket,
  sealStream,
  StreamReader,
  Swim,
} from '../../../src/memberlist/index.ts'
import { recorded } from '../corpus.ts'
import { type Sample, type Target, target } from '../target.ts'

interface Recorded {
  readonly name: string
  readonly transport: 'udp' | 'tcp'
  readonly direction: string
  readonly hex: string
  readonly key?: string
  readonly label?: string
  readonly decoded: { readonly plaintext_hex?: string; readonly decompressed_hex?: string }
}

interface Framed extends Sample {
  readonly keyring: Keyring | undefined
  readonly label: string | undefined
  readonly expectLabel: boolean
  /** What lies under all framing, to be framed anew after it was changed: then the reader trusts the frame. */
  readonly isInner: boolean
}

type Framing = 'plain' | 'encrypted' | 'labelled'

const KEY = Buffer.alloc(32, 7)

function framingOf({ key, label }: Recorded): Framing {
  if (label !== undefined) return 'labelled'
  return key === undefined ? 'plain' : 'encrypted'
}

/** What was recorded in this framing, and everything that was recorded without its frame, to be framed so. */
function samplesOf(transport: 'udp' | 'tcp', framing: Framing): Framed[] {
  return recorded<Recorded[]>('memberlist')
    .filter(one => one.transport === transport)
    .flatMap(one => {
      const { name, label, key } = one
      const keyring = key === undefined ? undefined : new Keyring([Buffer.from(key, 'base64')])
      const expectLabel = transport === 'tcp' && one.direction.startsWith('initiator')
      const whole = { name, label, keyring, expectLabel, isInner: false, bytes: Buffer.from(one.hex, 'hex') }
      const inner = [one.decoded.plaintext_hex, one.decoded.decompressed_hex, key === undefined ? one.hex : undefined]
      const under = inner
        .filter(hex => hex !== undefined)
        .map((hex, nth) => ({
          name: `${name}/${nth}`,
          bytes: Buffer.from(hex, 'hex'),
          keyring: framing === 'plain' ? undefined : new Keyring([KEY]),
          label: framing === 'labelled' ? 'ring' : undefined,
          expectLabel: true,
          isInner: true,
        }))
      return framingOf(one) === framing ? [whole, ...under] : under
    })
}

/** True when `read` does not refuse; `then` may not: it is about what we write ourselves. */
function isRead<T>(read: () => T, then?: (found: T) => void): boolean {
  let found: T
  try {
    found = read()
  } catch (thrown) {
    if (thrown instanceof CodecError || thrown instanceof PacketRefusedError) return false
    throw thrown
  }
  then?.(found)
  return true
}

function packetsOf({ isInner, keyring, label }: Framed, bytes: Uint8Array, random: Random): Uint8Array[] {
  if (!isInner || bytes.length === 0 || random.below(4) === 0) return [bytes]
  const twice = random.below(8) === 0 ? [bytes, bytes.subarray(random.below(bytes.length))] : [bytes]
  const parts = twice.filter(part => part.length > 0 && part.length < 0x1_0000)
  return sealPacket(parts, { crc: random.below(4) === 0, compress: random.below(2) === 0, keyring, label, random })
}

function packets(framing: Framing): Target {
  return target<Framed>({
    name: `packets-${framing}`,
    family: 'binary',
    corpus: samplesOf('udp', framing),
    share: 12,
    casesInTest: 20_000,
    stateCases: 1,
    start: () => (sample, bytes, random) => {
      const keyring = random.below(64) === 0 ? new Keyring([random.bytes(16)]) : sample.keyring
      const label = random.below(64) === 0 ? 'other' : sample.label
      const packets = packetsOf(sample, bytes, random)
      return isRead(
        () =>
          packets.flatMap(packet => {
            const parts = openPacket(packet, { keyring, label, verifyIncoming: random.below(8) !== 0 })
            return parts.map(part => decodeMessage(part))
          }),
        messages => {
          // An announcement without versions is read, and never passed on.
          for (const message of messages)
            if (message.type !== 'alive' || message.vsn !== undefined) decodeMessage(encodeMessage(message))
        },
      )
    },
  })
}

function streams(framing: Framing): Target {
  return target<Framed>({
    name: `streams-${framing}`,
    family: 'binary',
    corpus: samplesOf('tcp', framing),
    share: 8,
    casesInTest: 7000,
    stateCases: 1,
    start: () => (sample, changed, random) => {
      const { keyring, label, expectLabel } = sample
      const isFramed = sample.isInner && changed.length > 0 && random.below(4) !== 0
      const sealing = { compress: random.below(2) === 0, keyring, label, sendLabel: true, random }
      const bytes = isFramed ? sealStream(changed, sealing) : changed
      const reader = new StreamReader({ keyring, label, expectLabel })
      let isWhole = false
      const accepted = isRead(() => {
        for (const chunk of chunksOf(bytes, random)) isWhole ||= reader.push(chunk) !== undefined
      })
      return accepted && isWhole
    },
  })
}

/** In up to four chunks, now and then byte by byte, as a slow or a malicious peer would send it. */
export function* chunksOf(bytes: Uint8Array, random: Random): Generator<Uint8Array> {
  const chunkBytes = random.below(64) === 0 ? 1 : Math.max(1, Math.ceil(bytes.length / (1 + random.below(4))))
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}

const MEMBERS_MAX = 64

/** What was read goes into the member's own state: lists, suspicions, relays, queues. */
const swim = target<Framed>({
  name: 'swim',
  family: 'binary',
  corpus: samplesOf('udp', 'plain'),
  share: 6,
  casesInTest: 20_000,
  stateCases: 2000,
  start: () => {
    const random = seededRandom(1)
    const addr = ipToBytes('10.0.0.1') ?? new Uint8Array(4)
    const own = { name: 'us', addr, port: 7946, meta: new Uint8Array(0), vsn: [1, 5, 2, 2, 5, 5] as const }
    const config = { ...PROFILES.lan, ...own, packetOverheadBytes: 0, membersMax: MEMBERS_MAX }
    const host = {
      ackPayload: () => undefined,
      broadcasts: () => [],
      queued: () => 0,
      localState: () => new Uint8Array(0),
    }
    const core = new Swim(config, { random, host }, 0)
    let nowMs = 0
    return (_, bytes) => {
      let parts: Uint8Array[] = []
      const accepted = isRead(() => (parts = openPacket(bytes, {})))
      nowMs += 7
      const effects = core.receive(accepted ? parts : [bytes], { ip: '10.0.0.9', port: 7946 }, nowMs)
      effects.push(...core.tick(nowMs))
      for (const effect of effects) if (effect.kind === 'send') assertSendable(effect.parts)
      assert(core.size <= MEMBERS_MAX, `${core.size} members`)
      return accepted
    }
  },
})

/** What we send must be readable for others, and fit into a packet together with its framing. */
function assertSendable(parts: readonly Uint8Array[]): void {
  for (const part of parts) decodeMessage(part)
  const bytes = parts.reduce((sum, part) => sum + part.length + 2, 0)
  assert(parts.length === 1 || bytes <= PACKET_BYTES_MAX, `a packet of ${bytes} bytes`)
}

export const memberlistTargets: readonly Target[] = [
  ...(['plain', 'encrypted', 'labelled'] as const).flatMap(framing => [packets(framing), streams(framing)]),
  swim,
]
