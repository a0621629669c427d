import {
  type Document,
  isMap,
  isNode,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  type ParsedNode,
  Parser,
  parseDocument,
  visit,
} from 'yaml'
import { messageOf } from '../../base/index.ts'
import { type Problem, PROBLEMS_SHOWN } from './problems.ts'

export type Path = readonly PropertyKey[]

/** YAML or JSON as it was written, with its places. */
export interface TextFile {
  readonly value: unknown
  readonly problems: readonly Problem[]
  place(this: void, path: Path, key?: string): { where: string; details: string[] } | undefined
}

/** A configuration is written by hand; more than this is another file by mistake. */
const FILE_CHARS_MAX = 1 << 20
/** No setting lies deeper than six; what lies thousands deep takes the whole stack of whoever reads it. */
const DEPTH_MAX = 64
const ALIASES_MAX = 100

/** Never throws: what is wrong is in `problems`. */
export function parseText(name: string, text: string): TextFile {
  if (text.length > FILE_CHARS_MAX) return broken(name, `is larger than ${FILE_CHARS_MAX} characters`)
  try {
    if (isTooDeep(text)) return broken(name, `is nested deeper than ${DEPTH_MAX}`)
    return parsed(name, text)
  } catch (error) {
    return broken(name, messageOf(error))
  }
}

function parsed(name: string, text: string): TextFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
  const show = (start: number, end: number) => excerpt(name, text, lines, start, end)
  const errors: Wrong[] = [...document.errors.map(({ message, pos }) => ({ message, pos })), ...oddNodes(document)]
  if (errors.length > 0) {
    const shown = errors.map(({ message, pos }, nth) => ({
      ...{ path: '', message },
      ...(nth < PROBLEMS_SHOWN ? show(pos[0], pos[1]) : {}),
    }))
    return { value: undefined, problems: shown, place: () => undefined }
  }
  const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX })
  return { value, problems: [], place: (path, key) => placeIn(document, path, key, show) }
}

/** Counted piece by piece: the reader of whole documents calls itself for each level. */
function isTooDeep(text: string): boolean {
  const parser = new Parser()
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > DEPTH_MAX) return true
  }
  return false
}

/** Neither a list or a map nor bytes. */
function isPlain(key: unknown): boolean {
  return isScalar(key) && (typeof key.value !== 'object' || key.value === null)
}

interface Wrong {
  readonly message: string
  readonly pos: readonly [number, number]
}

/**
 * What YAML allows and no setting needs: lists and maps as keys, which become texts that double with each level, and a value
 * that contains itself.
 */
function oddNodes(document: Document.Parsed): Wrong[] {
  const found: Wrong[] = []
  let aliases = 0
  const note = (node: unknown, message: string) => {
    const range = isNode(node) ? node.range : undefined
    found.push({ message, pos: [range?.[0] ?? 0, range?.[1] ?? 0] })
  }
  visit(document, {
    Pair: (_, { key }) => {
      if (key !== null && !isPlain(key)) note(key, 'a key has to be text')
    },
    Alias: (_, alias, path) => {
      if (++aliases > ALIASES_MAX) {
        note(alias, `more than ${ALIASES_MAX} aliases`)
        return visit.BREAK
      }
      const meant = alias.resolve(document)
      if (meant !== undefined && path.includes(meant)) note(alias, `"*${alias.source}" is a part of itself`)
      return undefined
    },
  })
  return found
}

function broken(name: string, message: string): TextFile {
  return { value: undefined, problems: [{ path: '', where: name, message }], place: () => undefined }
}

type Show = (start: number, end: number) => { where: string; details: string[] }

function placeIn(document: Document.Parsed, path: Path, key: string | undefined, show: Show) {
  let node: ParsedNode | Node | null = document.contents
  let culprit = node
  for (const step of key === undefined ? path : [...path, key]) {
    if (isMap(node)) {
      const pair = node.items.find(item => String(isScalar(item.key) ? item.key.value : item.key) === String(step))
      if (pair === undefined) return undefined
      culprit = pair.key as Node
      node = isNode(pair.value) ? pair.value : null
    } else {
      node = document.getIn([...path], true) as Node | null
      culprit = isNode(node) ? node : culprit
      break
    }
  }
  const shown = key === undefined && isScalar(node) ? node : culprit
  const range = shown?.range
  return range == null ? undefined : show(range[0], range[1])
}

/** The widest line that is shown whole. */
const EXCERPT_CHARS_MAX = 160
/** What stands in a line with one of these keys goes into no log. */
const SECRET = /\b(?:encrypt|encrypt_key|rpc_auth)\b/i

function excerpt(name: string, text: string, lines: LineCounter, start: number, end: number) {
  const { line, col } = lines.linePos(Math.min(start, text.length))
  const source = text.slice(lines.lineStarts[line - 1], lines.lineStarts[line]).replace(/\r?\n$/, '')
  const where = `${name}:${line}:${col}`
  if (source.length > EXCERPT_CHARS_MAX || SECRET.test(source)) return { where, details: [] }
  const width = Math.max(1, Math.min(end - start, source.length - col + 1))
  const number = String(line).padStart(6)
  const gap = source.slice(0, col - 1).replace(/[^\t]/g, ' ')
  return { where, details: [`${number} | ${source}`, `${' '.repeat(6)} | ${gap}${'^'.repeat(width)}`] }
}
