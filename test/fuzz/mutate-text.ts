import type { Random } from '../../src/base/index.ts'
import { chosen, cut, double, insert, type Source, splice } from './mutate-bytes.ts'

/** Changes a text: its lines, its words, its brackets, its numbers, and now and then its very bytes. */
export function mutateText(bytes: Uint8Array, words: readonly string[], from: Source): Uint8Array {
  const { random } = from
  const how = random.below(16)
  if (how === 0) return cut(bytes, from)
  if (how === 1) return splice(bytes, from)
  if (how === 2) return double(bytes, from)
  if (how === 3) return insert(bytes, from)
  const text = Buffer.from(bytes).toString()
  if (how <= 6) return Buffer.from(linesChanged(text, from))
  if (how <= 8) return Buffer.from(numberChanged(text, random))
  if (how === 9) return Buffer.from(nested(text, random))
  const word = how <= 13 && words.length > 0 ? chosen(words, random) : chosen(EXTREMES, random)
  return Buffer.from(random.below(2) === 0 ? inserted(text, word, random) : wordReplaced(text, word, random))
}

/** What breaks readers of text. */
const EXTREMES = [
  ...['', '\0', '\n', '\r\n', '\r', '\t', ' ', '\u2028', '\ufeff', '\ud800', '\u202e', '🦫', '"', "'", '\\', '\\u0000'],
  ...[':', ': ', ',', '-', '- ', '#', '%', '&a', '*a', '!!binary', '|', '>', '{', '}', '[', ']', '(', ')', '~', '?'],
  ...['null', 'true', 'NaN', '-1', '1e999', '0x7fffffff', '99999999999999999999', '1.5', '.inf', '=', '<<', '@', '`'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '../..', '/dev/null', 'x'.repeat(300), '0'.repeat(100)],
]
const NUMBERS = [
  '0',
  '-0',
  '-1',
  '1',
  '65535',
  '65536',
  '4294967296',
  '9007199254740993',
  '18446744073709551616',
  '1e400',
]
const BRACKETS = ['[', '{', '(', '[[', '{"a":', '- ', '? ', '&a [', '(?:', '((a*)*', '"', '!!map {', ' ']

function linesChanged(text: string, { random, corpus }: Source): string {
  const lines = text.split('\n')
  const at = random.below(lines.length)
  const other = Buffer.from(chosen(corpus, random).bytes).toString().split('\n')
  switch (random.below(5)) {
    case 0:
      lines.splice(at, 1)
      break
    case 1:
      lines.splice(at, 0, lines[at] as string)
      break
    case 2:
      lines.splice(at, 0, chosen(other, random))
      break
    case 3:
      lines[at] = `${' '.repeat(random.below(6))}${(lines[at] as string).trimStart()}`
      break
    default:
      lines[at] = chosen(other, random)
  }
  return lines.join('\n')
}

function numberChanged(text: string, random: Random): string {
  const found = [...text.matchAll(/\d+/g)]
  const one = found[random.below(found.length || 1)]
  if (one === undefined) return inserted(text, chosen(NUMBERS, random), random)
  return text.slice(0, one.index) + chosen(NUMBERS, random) + text.slice(one.index + one[0].length)
}

/** Many brackets that are never closed, or few. */
function nested(text: string, random: Random): string {
  const times = chosen([1, 2, 30, 200, 2000], random)
  return inserted(text, chosen(BRACKETS, random).repeat(times), random)
}

function inserted(text: string, word: string, random: Random): string {
  const at = random.below(text.length + 1)
  return text.slice(0, at) + word + text.slice(at)
}

function wordReplaced(text: string, word: string, random: Random): string {
  const found = [...text.matchAll(/[\w.-]+/g)]
  const one = found[random.below(found.length || 1)]
  if (one === undefined) return word
  return text.slice(0, one.index) + word + text.slice(one.index + one[0].length)
}
