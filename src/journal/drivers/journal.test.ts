import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Clock, type Log, seededRandom, silentLog } from '../../base/index.ts'
import { VirtualClock } from '../../testing/index.ts'
import type { JournalEntry, Receipt, ReceiptChange } from '../records.ts'
import { type Journal, type JournalConfig, type JournalDeps, openJournal } from './journal.ts'
import { openFile } from './segment-writer.ts'

let directory: string
let clock: VirtualClock
const opened: Journal[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'journal-'))
  clock = new VirtualClock()
})
afterEach(async () => {
  for (const journal of opened.splice(0)) await journal.close()
  rmSync(directory, { recursive: true, force: true })
})

async function journalIn(deps: Partial<JournalDeps> = {}, config: Partial<JournalConfig> = {}): Promise<Journal> {
  const journal = await openJournal({ directory, ...config }, { clock, log: silentLog, ...deps })
  opened.push(journal)
  return journal
}

const guard = (what: string): JournalEntry => ({ kind: 'guard', guard: 'minimum', what })
const change = (server: string, state: string | null, address = `10.0.0.${server}:80`): ReceiptChange => ({
  ...{ pool: 'web', server: `web-${server}`, address, before: null },
  after: state === null ? null : { state, weight: 1 },
  reason: `${state} it is`,
})
const receipt = (...changes: ReceiptChange[]): JournalEntry => ({ kind: 'receipt', ...bare, changes })
const bare: Omit<Receipt, 'changes'> = {
  ...{ id: 'r1', actor: 'muster', causes: [{ what: 'member-join', member: 'web-1', seenBy: 'lb' }] },
  ...{ method: 'runtime', reasons: [], commands: ['set server'], tookMs: 3 },
}
const whats = (page: { records: readonly object[] }) => page.records.map(one => (one as { what?: string }).what)
const statesAt = async (journal: Journal, ms: number) =>
  (await journal.poolsAt(ms))?.servers.map(({ server, state }) => `${server} ${state}`)

/** A log that keeps its sentences. */
function heard(): { log: Log; sentences: string[] } {
  const sentences: string[] = []
  const say = (_: object, sentence: string) => void sentences.push(sentence)
  const log: Log = { error: say, warn: say, info: say, debug: say, child: () => log }
  return { log, sentences }
}

test('what was appended is there after a restart, and numbers go on growing', async () => {
  const before = await journalIn()
  const first = before.append(guard('one'))
  before.append(guard('two'))
  await before.close()
  const after = await journalIn()
  const third = after.append(guard('three'))
  const { records } = await after.read({})
  expect(whats({ records })).toEqual(['one', 'two', 'three'])
  expect(records.map(({ index }) => index)).toEqual([first, first + 1, third])
  expect(third).toBeGreaterThan(first + 1)
  expect(statSync(join(directory, readdirSync(directory)[0] as string)).mode & 0o777).toBe(0o600)
})

test('an agent that is killed loses nothing that was handed to the kernel', async () => {
  const killed = await journalIn()
  killed.append(guard('one'))
  await killed.flush() // no close, no sync
  expect(whats(await (await journalIn()).read({}))).toEqual(['one'])
})

test('a journal that was cut at any byte opens with every whole record before, and goes on', async () => {
  const whole = await journalIn()
  for (let i = 0; i < 4; i++) whole.append(i % 2 === 0 ? guard(`event ${i}`) : receipt(change(String(i), 'ready')))
  await whole.close()
  const [name] = readdirSync(directory) as [string]
  const bytes = readFileSync(join(directory, name))
  const records = (await (await journalIn()).read({})).records
  for (let at = 0; at <= bytes.length; at++) {
    writeFileSync(join(directory, name), bytes.subarray(0, at))
    const { log, sentences } = heard()
    const cut = await openJournal({ directory }, { clock, log })
    const isWhole = at === 0 || bytes[at - 1] === 10
    expect([at, sentences.some(one => one.includes('torn'))]).toEqual([at, !isWhole])
    cut.append(guard('next'))
    const page = await cut.read({})
    const lines = bytes.subarray(0, at).toString().split('\n').length - 1
    expect(page.records.slice(0, -1)).toEqual(records.slice(0, Math.max(0, lines - 1))) // the first line is the snapshot
    expect(whats(page).at(-1)).toBe('next')
    expect(page.damaged).toBe(0)
    expect(new Set(page.records.map(({ index }) => index)).size).toBe(page.records.length)
    await cut.close()
    for (const other of readdirSync(directory)) if (other !== name) rmSync(join(directory, other))
  }
})

test('a journal with damaged bytes opens, passes over what they belong to, and keeps everything else', async () => {
  const whole = await journalIn()
  for (let i = 0; i < 40; i++) whole.append(i % 3 === 0 ? receipt(change(String(i), 'ready')) : guard(`event ${i}`))
  await whole.close()
  const path = join(directory, readdirSync(directory)[0] as string)
  const bytes = readFileSync(path)
  const { records } = await (await journalIn()).read({})
  const random = seededRandom(7)
  for (let round = 0; round < 300; round++) {
    const damaged = Buffer.from(bytes)
    const at = random.below(damaged.length)
    damaged[at] = (damaged[at] as number) ^ (1 << random.below(8))
    writeFileSync(path, damaged)
    const journal = await openJournal({ directory }, { clock, log: silentLog })
    const last = journal.append(guard('next'))
    const page = await journal.read({ limit: 1000 })
    const line = bytes.subarray(0, at).toString('latin1').split('\n').length - 1 // 0: the snapshot
    const hurt = records.filter((_, i) => i + 1 !== line && i !== line) // a newline that is gone takes the next one with it
    expect(page.records).toEqual(expect.arrayContaining(hurt))
    expect(page.records.at(-1)?.index).toBe(last)
    await journal.poolsAt(clock.wallMs())
    await journal.close()
  }
})

test('any bytes at all open', async () => {
  const random = seededRandom(11)
  for (let round = 0; round < 60; round++) {
    const names = ['0000000000000001.journal', '0000000000000900.journal', '9999999999999999.journal', 'notes.txt']
    for (const name of names) writeFileSync(join(directory, name), random.bytes(random.below(3000)))
    const journal = await openJournal({ directory }, { clock, log: silentLog })
    journal.append(receipt(change('1', 'ready')))
    expect((await journal.read({})).records).toHaveLength(1)
    expect(journal.problem).toBeUndefined()
    expect(await statesAt(journal, clock.wallMs())).toEqual(['web-1 ready'])
    await journal.close()
    for (const name of readdirSync(directory)) rmSync(join(directory, name))
  }
})

test('a line without an end, larger than any record, is passed over without being held in memory', async () => {
  const first = await journalIn()
  first.append(guard('one'))
  await first.close()
  const path = join(directory, readdirSync(directory)[0] as string)
  writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(3 << 20, 'x'), Buffer.from('\n')]))
  const journal = await journalIn()
  journal.append(guard('two'))
  const page = await journal.read({})
  expect([whats(page), page.damaged]).toEqual([['one', 'two'], 1])
})

test('the pools of any time are folded from the snapshot and the receipts after it', async () => {
  const journal = await journalIn()
  const start = clock.wallMs()
  clock.advance(1000)
  journal.append(receipt(change('1', 'ready'), change('2', 'ready')))
  clock.advance(1000)
  journal.append(receipt(change('2', 'drain')))
  clock.advance(1000)
  journal.append(receipt(change('2', null)))
  expect(await statesAt(journal, start)).toBeUndefined()
  expect(await statesAt(journal, start + 1000)).toEqual(['web-1 ready', 'web-2 ready'])
  expect(await statesAt(journal, start + 2999)).toEqual(['web-1 ready', 'web-2 drain'])
  expect(await statesAt(journal, start + 9999)).toEqual(['web-1 ready'])
  expect((await journal.poolsAt(start + 2500))?.servers[1]).toEqual({
    ...{ pool: 'web', server: 'web-2', address: '10.0.0.2:80', state: 'drain', weight: 1 },
    ...{ since: start + 2000, reason: 'drain it is' },
  })
})

test('the journal stays below its bound, forgets the oldest, and still knows the pools', async () => {
  const maxBytes = 1 << 20
  const journal = await journalIn({}, { maxBytes })
  journal.append(receipt(change('1', 'ready')))
  const sizes: number[] = []
  for (let i = 0; i < 9000; i++) {
    clock.advance(10)
    journal.append(guard(`${i} ${'x'.repeat(200)}`))
    if (i % 100 === 0) await journal.flush()
    if (i % 500 === 0) sizes.push(onDisk())
  }
  await journal.flush()
  expect(Math.max(...sizes)).toBeLessThanOrEqual(maxBytes)
  expect(onDisk()).toBe(journal.bytes)
  expect(await statesAt(journal, clock.wallMs())).toEqual(['web-1 ready'])
  const oldest = (await journal.read({ after: 0, limit: 1 })).records[0]
  expect(oldest?.index).toBeGreaterThan(1000)
  expect(journal.beginsAt).toBeLessThanOrEqual(oldest?.at as number)
  expect(await journal.poolsAt((journal.beginsAt as number) - 1)).toBeUndefined()
  await journal.close()
  const again = await journalIn({}, { maxBytes })
  expect(await statesAt(again, (journal.beginsAt as number) + 10)).toEqual(['web-1 ready'])
})

const onDisk = () => readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)

test('a segment whose snapshot is damaged is read with the one before', async () => {
  const journal = await journalIn({}, { maxBytes: 1 << 20 })
  journal.append(receipt(change('1', 'ready')))
  const filled = async () => {
    const segments = readdirSync(directory).length
    while (readdirSync(directory).length === segments) {
      journal.append(guard('x'.repeat(900)))
      await journal.flush()
    }
  }
  await filled()
  journal.append(receipt(change('2', 'ready')))
  await filled()
  await journal.close()
  const newest = join(directory, readdirSync(directory).sort().at(-1) as string)
  const bytes = readFileSync(newest)
  bytes[20] = 0
  writeFileSync(newest, bytes)
  const again = await journalIn({}, { maxBytes: 1 << 20 })
  expect(await again.poolsAt(clock.wallMs())).toMatchObject({ isWhole: true })
  expect(await statesAt(again, clock.wallMs())).toEqual(['web-1 ready', 'web-2 ready'])
  expect(again.pools().map(({ server }) => server)).toEqual(['web-1', 'web-2'])
})

test('a full disk is said once, costs only the records meanwhile, and ends by itself', async () => {
  let isFull = false
  const open: typeof openFile = async (path, isNew) => {
    const file = await openFile(path, isNew)
    const append = async (bytes: Buffer) => {
      if (!isFull) return await file.append(bytes)
      await file.append(bytes.subarray(0, bytes.length >> 1))
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    }
    return { ...file, append }
  }
  const { log, sentences } = heard()
  const journal = await journalIn({ open, log })
  journal.append(receipt(change('1', 'ready')))
  await journal.flush()
  isFull = true
  for (const server of ['2', '3', '4']) {
    journal.append(receipt(change(server, 'ready')))
    await journal.flush()
    clock.advance(5_000)
    await journal.flush()
  }
  expect(journal.problem).toMatch(/cannot be written: ENOSPC: no space left on device, write; 3 records are missing/)
  isFull = false
  clock.advance(5_000)
  await journal.flush()
  expect([journal.problem, journal.missing]).toEqual([undefined, 3])
  journal.append(guard('back'))
  expect((await journal.read({})).records).toMatchObject([
    { kind: 'receipt' },
    { kind: 'agent', event: 'gap', missing: 3, reason: 'ENOSPC: no space left on device, write' },
    { kind: 'guard' },
  ])
  expect(sentences.filter(one => one.includes('cannot be written'))).toHaveLength(1)
  expect(await statesAt(journal, clock.wallMs())).toEqual(['web-1 ready', 'web-2 ready', 'web-3 ready', 'web-4 ready'])
})

test('a directory that cannot be made is a problem in words, and is used as soon as it can', async () => {
  const blocked = join(directory, 'state')
  writeFileSync(blocked, '')
  const journal = await journalIn({}, { directory: join(blocked, 'journal') })
  expect(journal.problem).toMatch(/ENOTDIR|EEXIST/)
  journal.append(receipt(change('1', 'ready')))
  expect((await journal.read({})).records).toEqual([])
  rmSync(blocked)
  mkdirSync(blocked)
  clock.advance(5_000)
  expect((await journal.read({})).records).toMatchObject([{ event: 'gap', missing: 1 }])
  expect(await statesAt(journal, clock.wallMs())).toEqual(['web-1 ready'])
})

test('a disk that hangs holds nobody up, and memory stays bounded', async () => {
  let release: () => void = () => undefined
  const hanging = new Promise<void>(resolve => (release = resolve))
  let isHanging = false
  const open: typeof openFile = async (path, isNew) => {
    const file = await openFile(path, isNew)
    const append = async (bytes: Buffer) => {
      if (isHanging) await hanging
      await file.append(bytes)
    }
    return { ...file, append }
  }
  const journal = await journalIn({ open })
  journal.append(guard('first'))
  await journal.flush()
  isHanging = true
  for (let i = 0; i < 6000; i++) journal.append(guard('x'.repeat(1000)))
  expect(journal.problem).toMatch(/faster than the disk/)
  const read = journal.read({})
  await vi.waitFor(async () => {
    clock.advance(1_000) // its patience
    expect(whats(await Promise.race([read, Promise.resolve({ records: [] })]))).toEqual(['first'])
  })
  isHanging = false
  release()
  await journal.flush()
  expect(journal.problem).toBeUndefined()
  expect(journal.missing).toBeGreaterThan(3000)
  expect((await journal.read({ kinds: ['agent'] })).records).toMatchObject([{ event: 'gap', missing: journal.missing }])
})

test('a clock that goes back does not change the order; of two moments with one time the later is meant', async () => {
  let wallMs = 5_000
  const moved: Clock = { nowMs: () => clock.nowMs(), wallMs: () => wallMs, after: (ms, fn) => clock.after(ms, fn) }
  const journal = await journalIn({ clock: moved })
  for (const [at, server] of [
    [5_000, '1'],
    [9_000, '2'],
    [4_000, '3'],
    [6_000, '4'],
  ] as const) {
    wallMs = at
    journal.append(receipt(change(server, 'ready')))
  }
  const { records } = await journal.read({})
  expect(records.map(({ at }) => at)).toEqual([5_000, 9_000, 4_000, 6_000])
  expect(await statesAt(journal, 5_500)).toEqual(['web-1 ready', 'web-2 ready', 'web-3 ready'])
  expect(await statesAt(journal, 6_000)).toHaveLength(4)
})

test('a receipt with more changes than a record holds is spread over several, and none is missing', async () => {
  const journal = await journalIn()
  const many = Array.from({ length: 3000 }, (_, i) => change(String(i), 'ready', `10.1.${i >> 8}.${i & 255}:80`))
  journal.append({ ...receipt(...many), commands: many.map(({ address }) => `set server ${address}`) } as JournalEntry)
  const { records } = await journal.read({ limit: 1000 })
  expect(records.length).toBeGreaterThan(3)
  expect(records[0]).toMatchObject({ part: 1, parts: records.length, cut: { commands: 3000 } })
  expect((await journal.poolsAt(clock.wallMs()))?.servers).toHaveLength(3000)
  await journal.close()
  expect((await (await journalIn()).poolsAt(clock.wallMs()))?.servers).toHaveLength(3000)
})

test('a page is bounded, says that there is more, and the next one goes on without a gap', async () => {
  const journal = await journalIn({}, { maxBytes: 1 << 20 })
  for (let i = 0; i < 2500; i++) journal.append(guard(`${i}`))
  await journal.flush()
  const newest = await journal.read({ limit: 100 })
  expect([whats(newest)[0], whats(newest).at(-1), newest.more]).toEqual(['2400', '2499', true])
  const older = await journal.read({ limit: 100, before: newest.records[0]?.index as number })
  expect([whats(older)[0], whats(older).at(-1)]).toEqual(['2300', '2399'])
  const forward: string[] = []
  let after = 0
  for (let more = true; more; ) {
    const page = await journal.read({ after, limit: 700 })
    forward.push(...(whats(page) as string[]))
    after = page.records.at(-1)?.index as number
    more = page.more
  }
  expect(forward).toEqual(Array.from({ length: 2500 }, (_, i) => `${i}`))
})

test('records are found by kind, by time, by name, by address with or without its port', async () => {
  const journal = await journalIn()
  const start = clock.wallMs()
  journal.append(receipt(change('1', 'ready')))
  clock.advance(1000)
  journal.append(guard('web-10 is no web-1'))
  clock.advance(1000)
  journal.append({ kind: 'command', actor: 'root', command: 'drain web-1', outcome: 'done' })
  const kindsOf = async (query: Parameters<Journal['read']>[0]) =>
    (await journal.read(query)).records.map(({ kind }) => kind)
  expect(await kindsOf({ kinds: ['command', 'guard'] })).toEqual(['guard', 'command'])
  expect(await kindsOf({ sinceMs: start + 1, untilMs: start + 1999 })).toEqual(['guard'])
  expect(await kindsOf({ what: 'web-1' })).toEqual(['receipt', 'command'])
  expect(await kindsOf({ what: '10.0.0.1' })).toEqual(['receipt'])
  expect(await kindsOf({ what: '10.0.0.1:80' })).toEqual(['receipt'])
  expect(await kindsOf({ what: '10.0.0' })).toEqual([])
})

test('a file that shrinks while the journal is open costs what was in it', async () => {
  const journal = await journalIn()
  journal.append(guard('one'))
  await journal.flush()
  truncateSync(join(directory, readdirSync(directory)[0] as string), 0)
  journal.append(guard('two'))
  expect(whats(await journal.read({}))).toEqual(['two'])
})

test('a directory that somebody removes is made again, and the pools are as they were', async () => {
  const journal = await journalIn()
  journal.append(receipt(change('1', 'ready')))
  await journal.flush()
  rmSync(directory, { recursive: true })
  clock.advance(200) // the next sync finds out
  await vi.waitFor(() => expect(journal.problem).toMatch(/ENOENT/))
  expect((await journal.read({})).records).toEqual([])
  expect(await journal.poolsAt(clock.wallMs())).toBeUndefined()
  clock.advance(5_000)
  journal.append(guard('lost'))
  await journal.flush()
  journal.append(guard('two'))
  expect(whats(await journal.read({ kinds: ['guard'] }))).toEqual(['two'])
  expect(await statesAt(journal, clock.wallMs())).toEqual(['web-1 ready'])
})
