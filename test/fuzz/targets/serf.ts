import { assert, type Random } from '../../../src/base/index.ts'
import {
  CodecError,
  decodeMsgpack,
  encodeMsgpack,
  lzwCompress,
  lzwDecompress,
  MsgpackReader,
} from '../../../src/codec/index.ts'
import type { Member } from '../../../src/memberlist/index.ts'
import {
  decodeSerfMessage,
  decodeTags,
  encodeFilters,
  encodeSerfMessage,
  encodeTags,
  filtersMatch,
  SerfCore,
  SnapshotRecord,
} from '../../../src/serf/index.ts'
import { kept, recordedSerf } from '../corpus.ts'
import { type Sample, type Target, target } from '../target.ts'

/** False when `read` refuses with a CodecError; `then` may not: it is about what was read, and about what we write ourselves. */
function isRead<T>(read: () => T, then?: (found: T) => void): boolean {
  let found: T
  try {
    found = read()
  } catch (thrown) {
    if (thrown instanceof CodecError) return false
    throw thrown
  }
  then?.(found)
  return true
}

const MESSAGES = [
  ...['join-intent', 'leave-intent', 'user-event', 'query-', 'relay-', 'conflict-response-payload'],
  ...['key-request', 'key-response', 'push-pull'],
]
const FILTERS: Sample[] = [
  { name: 'nodes', nodes: ['alpha', 'bravo'] },
  { name: 'tags', tags: { role: '^web$' } },
].map(({ name, ...filters }) => ({ name, bytes: encodeFilters(filters)[0] as Uint8Array }))

/** What can be read can be written and read again, and is the same then. */
const messages = target({
  name: 'serf-messages',
  family: 'binary',
  corpus: recordedSerf(...MESSAGES),
  share: 12,
  casesInTest: 25_000,
  stateCases: 1,
  start: () => (_, bytes) =>
    isRead(
      () => decodeSerfMessage(bytes),
      found => {
        const written = encodeSerfMessage(found)
        const again = encodeSerfMessage(decodeSerfMessage(written))
        assert(Buffer.compare(written, again) === 0, 'written, read and written again it is another message')
      },
    ),
})

const CONFIG = {
  ...{ name: 'self', retransmitMult: 4, gossipIntervalMs: 200, reconnectIntervalMs: 30_000 },
  ...{ reconnectTimeoutMs: 86_400_000, tombstoneTimeoutMs: 86_400_000, pruneDelayMs: 6000 },
  ...{ userEventBytesMax: 512, queryBytesMax: 1024, queryResponseBytesMax: 1024 },
}
/** Of each of the three queues. */
const QUEUED_MAX = 3 * 4096

function memberOf(name: string, meta: Uint8Array): Member {
  return {
    ...{ name, addr: Uint8Array.of(10, 0, 0, 1), ip: '10.0.0.1', port: 7946, meta, vsn: [1, 5, 2, 2, 5, 5] },
    ...{ incarnation: 1, state: 'alive', stateChangedAtMs: 0 },
  }
}

function coreOf(random: Random): SerfCore {
  const core = new SerfCore(CONFIG, random, 0)
  for (const name of ['self', 'alpha', 'bravo']) core.memberChanged('join', memberOf(name, encodeTags({})), 0)
  return core
}

/** A member that hears nothing but this: in user messages, in push/pulls, on acks and as tags. */
const core = target({
  name: 'serf-core',
  family: 'binary',
  corpus: recordedSerf(...MESSAGES, 'meta-', 'ping-payload'),
  share: 8,
  casesInTest: 8000,
  stateCases: 2000,
  start: random => {
    const self = coreOf(random)
    const query = self.sendQuery({ name: 'q', payload: new Uint8Array(0) }, 0)
    assert(query !== undefined, 'asked')
    let nowMs = 0
    return (_, bytes, drawn) => {
      nowMs += 3
      const effects = self.receive(bytes, nowMs)
      const accepted = effects.every(({ kind }) => kind !== 'log')
      effects.push(...self.mergeState(bytes, drawn.below(2) === 0, nowMs))
      effects.push(...self.memberChanged('update', memberOf('bravo', bytes.subarray(0, 512)), nowMs))
      effects.push(...self.tick(nowMs))
      for (const effect of effects) if (effect.kind === 'send') assert(effect.body.length > 0, 'kills peers')
      if (nowMs % 300 === 0) self.broadcasts(3, 1400)
      assert(self.members().length === 3, 'members come from memberlist only')
      assert(self.queued <= QUEUED_MAX, `${self.queued} messages wait`)
      return accepted
    }
  },
})

/** The position of a member stays a position, whatever others say of theirs. */
const coordinates = target({
  name: 'coordinates',
  family: 'binary',
  corpus: recordedSerf('ping-payload'),
  share: 8,
  casesInTest: 12_000,
  stateCases: 1000,
  start: random => {
    const self = coreOf(random)
    return (_, bytes, drawn) => {
      const effects = self.pingDone('alpha', drawn.float() * 100, bytes)
      const own = self.coordinate('self')
      const numbers = own === undefined ? [Number.NaN] : [...own.vec, own.error, own.adjustment, own.height]
      assert(numbers.every(Number.isFinite), `a coordinate of ${numbers.join(' ')}`)
      return effects.every(({ kind }) => kind !== 'log')
    }
  },
})

const tags = target({
  name: 'tags',
  family: 'binary',
  corpus: recordedSerf('meta-'),
  bytesMax: 512,
  share: 12,
  casesInTest: 100_000,
  stateCases: 1,
  start: () => (_, bytes) => {
    const { tags: found, sound } = decodeTags(bytes)
    assert(
      Object.values(found).every(text => typeof text === 'string'),
      'a tag is text',
    )
    return sound
  },
})

const filters = target({
  name: 'query-filters',
  family: 'binary',
  corpus: [...FILTERS, ...recordedSerf('query-filter-'), ...recordedSerf('query-filters').flatMap(filtersOf)],
  share: 8,
  casesInTest: 15_000,
  stateCases: 1,
  start: () => (_, bytes) => filtersMatch([bytes], 'alpha', { role: 'web', dc: 'east' }),
})

function filtersOf({ name, bytes }: Sample): Sample[] {
  const message = decodeSerfMessage(bytes)
  return message.type === 'query'
    ? message.filters.map((filter, nth) => ({ name: `${name}/${nth}`, bytes: filter }))
    : []
}

const EXPRESSION_WORDS = [
  ...['.*', '.+', '(a+)+$', '(a*)*', '(?:', '(?i)', '(?P<n>', '\\pL', '\\p{Greek}', '\\b', '\\Q', '\\E', '[[:alpha:]]'],
  ...[
    '{1000}',
    '{2,}',
    '{1,1000}',
    '{0}',
    '^',
    '$',
    '|',
    '[^',
    '-]',
    '\\x{10FFFF}',
    '\\C',
    '\\z',
    '(?=a)',
    '\\1',
    '??',
  ],
]

/** An expression of a stranger, on tags of a stranger: an answer in bounded time, or none. */
const expressions = target({
  name: 'expressions',
  family: 'text',
  corpus: kept('expressions'),
  words: EXPRESSION_WORDS,
  bytesMax: 1200,
  share: 3,
  casesInTest: 2500,
  stateCases: 1,
  start: () => (_, bytes, random) => {
    const expression = Buffer.from(bytes).toString()
    const text = random.below(2) === 0 ? 'a'.repeat(500) : 'web-1.example'
    return filtersMatch(encodeFilters({ tags: { role: expression } }), 'alpha', { role: text })
  },
})

/** Reading and stepping over end at the same place. */
const values = target({
  name: 'msgpack',
  family: 'binary',
  corpus: recordedSerf().map(({ name, bytes }) => ({ name, bytes: bytes.subarray(1) })),
  share: 8,
  casesInTest: 30_000,
  stateCases: 1,
  start: () => (_, bytes) =>
    isRead(
      () => decodeMsgpack(bytes),
      ({ value, end }) => {
        const reader = new MsgpackReader(bytes)
        reader.skip()
        assert(reader.at === end, `read to ${end}, skipped to ${reader.at}`)
        if (value === null || typeof value === 'boolean') encodeMsgpack(value, 'old')
      },
    ),
})

const INFLATED_MAX = 1 << 20

const lzw = target({
  name: 'lzw',
  family: 'binary',
  corpus: recordedSerf().map(({ name, bytes }) => ({ name, bytes: lzwCompress(bytes) })),
  share: 6,
  casesInTest: 25_000,
  stateCases: 1,
  start: () => (_, bytes) =>
    isRead(() => {
      const plain = lzwDecompress(bytes, INFLATED_MAX)
      assert(plain.length <= INFLATED_MAX, `${plain.length} bytes`)
    }),
})

const LINES = [
  ...[
    'alive: ',
    'not-alive: ',
    'clock: ',
    'event-clock: ',
    'query-clock: ',
    'coordinate: ',
    'leave',
    '# ',
    '\nleave\n',
  ],
  ...['alive: a 10.0.0.1:7946\n', 'clock: 9007199254740993\n', 'alive:  \n', 'not-alive: a\n'],
]

/** What is kept of a broken file compacts to a file that says the same. */
const snapshots = target({
  name: 'snapshots',
  family: 'text',
  corpus: [...recordedSerf('snapshot-'), ...kept('snapshots')],
  words: LINES,
  share: 5,
  casesInTest: 15_000,
  stateCases: 1,
  start: () => (_, bytes, random) => {
    const text = Buffer.from(bytes).toString()
    const record = new SnapshotRecord(random.below(2) === 0)
    const skipped = record.replay(text)
    const again = new SnapshotRecord(false)
    assert(again.replay(record.compacted()) === 0, 'the compacted file has lines that make no sense')
    assert(
      JSON.stringify([again.clocks, [...again.nodes]]) === JSON.stringify([record.clocks, [...record.nodes]]),
      text,
    )
    return skipped === 0 && !SnapshotRecord.isForeign(text)
  },
})

export const serfTargets: readonly Target[] = [
  ...[messages, core, coordinates, tags, filters, expressions, values, lzw, snapshots],
]
