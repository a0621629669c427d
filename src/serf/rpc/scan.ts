import { CodecError } from '../../codec/index.ts'

/**
 * Cuts a byte stream into msgpack values without decoding them. RPC has no framing, so the end of a value is known only
 * by walking it; the walk resumes where it stopped, so that bytes arriving one at a time cost no more than all at once.
 */
export class ValueScanner {
  readonly #valueBytesMax: number
  #store: Buffer = Buffer.alloc(0)
  /** Bytes from here to `#end` are held and not yet taken. */
  #start = 0
  #end = 0
  /** Bytes of the unfinished value that have been walked; may lie beyond what has arrived. */
  #walked = 0
  /** Values still to be walked before the outermost one is whole. */
  #wanted = 1

  /** @param valueBytesMax a longer value is refused as soon as its lengths say so, before it has arrived */
  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax
  }

  /** Bytes held and not yet taken. */
  get size(): number {
    return this.#end - this.#start
  }

  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#store.length) this.#makeRoom(chunk.length)
    this.#store.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /**
   * The next whole value, still encoded; undefined until it has arrived.
   * @throws CodecError when the value is not msgpack or too long; the stream cannot go on after that
   */
  take(): Uint8Array | undefined {
    const held = this.#store.subarray(this.#start, this.#end)
    while (this.#wanted > 0) {
      const step = stepAt(held, this.#walked)
      if (step === undefined) return undefined
      this.#walked += step.bytes
      this.#wanted += step.children - 1
      // Every value still wanted has at least one byte.
      if (this.#walked + this.#wanted > this.#valueBytesMax) throw new CodecError('value is too long')
    }
    if (this.#walked > held.length) return undefined
    const value = Uint8Array.from(held.subarray(0, this.#walked))
    this.#start += this.#walked
    if (this.#start === this.#end) this.#start = this.#end = 0
    this.#walked = 0
    this.#wanted = 1
    return value
  }

  /** Grows by doubling, so that a stream that arrives byte by byte is copied a constant number of times. */
  #makeRoom(bytes: number): void {
    const grown = Buffer.alloc(2 * (this.size + bytes))
    this.#store.copy(grown, 0, this.#start, this.#end)
    this.#end = this.size
    this.#start = 0
    this.#store = grown
  }
}

interface Step {
  /** Head and, for text and bytes, body. */
  readonly bytes: number
  /** Values inside, which follow. */
  readonly children: number
}

/** What the head at `at` promises; undefined when the head itself has not arrived. */
function stepAt(buffer: Buffer, at: number): Step | undefined {
  const head = buffer[at]
  if (head === undefined) return undefined
  if (head <= 0x7f || head >= 0xe0) return leaf(1)
  if (head <= 0x8f) return { bytes: 1, children: 2 * (head & 0x0f) }
  if (head <= 0x9f) return { bytes: 1, children: head & 0x0f }
  if (head <= 0xbf) return leaf(1 + (head & 0x1f))
  const fixed = FIXED_BYTES[head]
  if (fixed !== undefined) return leaf(fixed)
  const sized = SIZED[head]
  if (sized === undefined) throw new CodecError(`unknown msgpack head 0x${head.toString(16)}`)
  if (at + 1 + sized.lengthBytes > buffer.length) return undefined
  const length = buffer.readUIntBE(at + 1, sized.lengthBytes)
  if (sized.children !== undefined) return { bytes: 1 + sized.lengthBytes, children: sized.children * length }
  return leaf(1 + sized.lengthBytes + sized.extra + length)
}

function leaf(bytes: number): Step {
  return { bytes, children: 0 }
}

/** Nil, booleans, floats, integers and fixed extensions, head included. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  ...{ 0xc0: 1, 0xc2: 1, 0xc3: 1, 0xca: 5, 0xcb: 9, 0xcc: 2, 0xcd: 3, 0xce: 5, 0xcf: 9 },
  ...{ 0xd0: 2, 0xd1: 3, 0xd2: 5, 0xd3: 9, 0xd4: 3, 0xd5: 4, 0xd6: 6, 0xd7: 10, 0xd8: 18 },
}

/** Heads with a length: bytes, extensions (one byte of type more), text, lists, maps. */
const SIZED: Readonly<Record<number, { lengthBytes: number; extra: number; children?: number }>> = {
  196: { lengthBytes: 1, extra: 0 },
  197: { lengthBytes: 2, extra: 0 },
  198: { lengthBytes: 4, extra: 0 },
  199: { lengthBytes: 1, extra: 1 },
  200: { lengthBytes: 2, extra: 1 },
  201: { lengthBytes: 4, extra: 1 },
  217: { lengthBytes: 1, extra: 0 },
  218: { lengthBytes: 2, extra: 0 },
  219: { lengthBytes: 4, extra: 0 },
  220: { lengthBytes: 2, extra: 0, children: 1 },
  221: { lengthBytes: 4, extra: 0, children: 1 },
  222: { lengthBytes: 2, extra: 0, children: 2 },
  223: { lengthBytes: 4, extra: 0, children: 2 },
}
