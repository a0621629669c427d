/**
 * codec: bytes to values and back, pure. msgpack in the dialects of Serf (cluster messages are old: no str8, no bin; RPC
 * answers are new), LZW as Go writes it, CRC-32. Whatever bytes come in, decoding gives a value or throws `CodecError`,
 * within bounds of depth, length and count.
 */
export { CodecError, NeedMoreError } from './codec-error.ts'
export { crc32 } from './crc32.ts'
export { lzwCompress, lzwDecompress } from './lzw.ts'
export { decodeMsgpack, MsgpackReader, VALUES_MAX } from './msgpack-reader.ts'
export { DEPTH_MAX, type Dialect, encodeMsgpack, MsgpackWriter } from './msgpack-writer.ts'
export { textFromBytes, textToBytes } from './text.ts'
export {
  asArray,
  asBigUint,
  asBool,
  asBuffer,
  asBytes,
  asFloat,
  asInt,
  asMap,
  asText,
  asUint,
  type Decoded,
  type Field,
  Float64,
  type MsgpackValue,
  Raw,
} from './values.ts'
