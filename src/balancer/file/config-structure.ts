import { isIP } from 'node:net'

/** A `server` line taken apart into what HAProxy can change while it runs and what it cannot. */
export interface ServerLine {
  readonly name: string
  /** Undefined for a host name, a unix path or anything else that is not `ip:port`; then `rest` has the address. */
  readonly ip: string | undefined
  readonly port: number | undefined
  readonly weight: number | undefined
  readonly maxconn: number | undefined
  readonly disabled: boolean
  /** `backend/server` whose state and health this one follows. */
  readonly track: string | undefined
  readonly checked: boolean
  /** Every other word, in order: what only a reload can change. */
  readonly rest: string
}

export interface Section {
  /** `frontend www`, `global`; the second of the same title is `defaults (2)`. */
  readonly title: string
  readonly lines: readonly string[]
  readonly servers: readonly ServerLine[]
}

export type Structure = readonly Section[]

const SECTIONS = new Set(
  [
    'global defaults frontend backend listen peers resolvers userlist ring program mailers cache http-errors fcgi-app',
    'log-forward namespace_list crt-store log-profile acme traces',
  ].flatMap(words => words.split(' ')),
)

/** Server lines as they were read, by their text: from one file to the next nearly all stay the same. */
export type KnownLines = Map<string, ServerLine>

/** Beyond it they are forgotten: more than HAProxy bears. */
const KNOWN_LINES_MAX = 100_000

/** What stands above every section: conditions, or what HAProxy refuses. */
const TOP = 'above all sections'

/**
 * Reads a configuration as HAProxy splits it: words, quotes, escapes, comments. Never throws: it is compared, not judged. Two texts
 * with the same structure are the same for HAProxy; where in doubt they differ, and HAProxy itself is asked.
 * @param known lines of files before; grows
 */
export function parseStructure(text: string, known: KnownLines = new Map()): Structure {
  if (known.size > KNOWN_LINES_MAX) known.clear()
  const sections: { title: string; lines: string[]; servers: ServerLine[]; checks: boolean }[] = []
  const titles = new Map<string, number>()
  const begin = (title: string) => {
    const section = { title: numbered(title, titles), lines: [], servers: [], checks: false }
    sections.push(section)
    return section
  }
  for (const line of text.split('\n')) {
    const before = sections.at(-1)?.checks === false ? known.get(line) : undefined
    if (before !== undefined) {
      sections.at(-1)?.servers.push(before)
      continue
    }
    const { words, quoted } = splitWords(line)
    const [first] = words
    if (first === undefined) continue
    if (SECTIONS.has(first)) {
      begin(plainLine(words) + quoted)
      continue
    }
    const section = sections.at(-1) ?? begin(TOP)
    if (first === 'server' && words.length >= 3) {
      const server = parseServer(words, quoted, section.checks)
      section.servers.push(server)
      if (!section.checks) known.set(line, server)
    } else section.lines.push(plainLine(words) + quoted + placeOf(first, section.servers))
    if (first === 'default-server') section.checks ||= words.includes('check')
  }
  return sections
}

/** @param titles how often each has been seen; grows */
function numbered(title: string, titles: Map<string, number>): string {
  const count = (titles.get(title) ?? 0) + 1
  titles.set(title, count)
  return count === 1 ? title : `${title} (${count})`
}

function plainLine(words: readonly string[]): string {
  return words.map(word => (word === '' || /[ \t\r"]/.test(word) ? JSON.stringify(word) : word)).join(' ')
}

/** `default-server` and conditions (`.if`) are for what is below them, so what stands above them counts. */
function placeOf(keyword: string, servers: readonly ServerLine[]): string {
  const above = servers.at(-1)
  const counts = keyword === 'default-server' || keyword.startsWith('.')
  return counts && above !== undefined ? ` # below ${above.name}` : ''
}

/** The same file with these servers, `web/slot1`, in maintenance from the start. */
export function withDisabled(text: string, servers: readonly string[]): string {
  if (servers.length === 0) return text
  const wanted = new Set(servers)
  let backend = ''
  const lines = text.split('\n').map(line => {
    backend = /^[ \t]*(?:backend|listen)[ \t]+([^ \t\r]+)/.exec(line)?.[1] ?? backend
    const [, head = '', name = ''] = /^([ \t]*server[ \t]+([^ \t\r]+)[ \t]+[^ \t\r]+)/.exec(line) ?? []
    return wanted.has(`${backend}/${name}`) ? `${head} disabled${line.slice(head.length)}` : line
  })
  return lines.join('\n')
}

interface Lines {
  readonly byName: ReadonlyMap<string, ServerLine>
  readonly maxconns: ReadonlyMap<string, number>
}

/** A pass asks for the lines of the same two structures again and again. */
const LINES = new WeakMap<Structure, Lines>()

/** `web/slot1` → its line, over all sections that have servers. */
export function serverLines(structure: Structure): ReadonlyMap<string, ServerLine> {
  return linesOf(structure).byName
}

/** `web/slot1` → its `maxconn`, where its line has one: HAProxy does not tell it. */
export function lineMaxconns(structure: Structure): ReadonlyMap<string, number> {
  return linesOf(structure).maxconns
}

function linesOf(structure: Structure): Lines {
  const known = LINES.get(structure)
  if (known !== undefined) return known
  const lines = { byName: new Map<string, ServerLine>(), maxconns: new Map<string, number>() }
  for (const section of structure) {
    const backend = backendIn(section)
    if (backend !== undefined) for (const line of section.servers) addLine(lines, `${backend}/${line.name}`, line)
  }
  LINES.set(structure, lines)
  return lines
}

function addLine(
  { byName, maxconns }: { readonly byName: Map<string, ServerLine>; readonly maxconns: Map<string, number> },
  key: string,
  line: ServerLine,
): void {
  byName.set(key, line)
  if (line.maxconn === undefined) maxconns.delete(key)
  else maxconns.set(key, line.maxconn)
}

/** The name of a section that has servers. */
function backendIn({ title }: Section): string | undefined {
  const [kind, name = ''] = title.split(' ')
  return kind === 'backend' || kind === 'listen' ? name : undefined
}

/**
 * The same structure with some server lines of a later file in the place of those of the same names.
 * @param part all sections of that file, and of its servers those, in their order
 * @returns undefined when anything else differs
 */
export function withServers(structure: Structure, part: Structure): Structure | undefined {
  if (structure.length !== part.length) return undefined
  const { byName, maxconns } = linesOf(structure)
  const lines = { byName: new Map(byName), maxconns: new Map(maxconns) }
  const sections: Section[] = []
  for (const [i, section] of structure.entries()) {
    const { title, lines: plain, servers: later } = part[i] as Section
    if (title !== section.title || !isSameList(plain, section.lines)) return undefined
    const servers = [...section.servers]
    const backend = backendIn(section)
    let at = 0
    for (const line of later) {
      while (at < servers.length && servers[at]?.name !== line.name) at++
      if (at === servers.length) return undefined
      servers[at] = line
      if (backend !== undefined) addLine(lines, `${backend}/${line.name}`, line)
    }
    sections.push({ ...section, servers })
  }
  LINES.set(sections, lines)
  return sections
}

function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a === b || (a.length === b.length && a.every((item, i) => item === b[i]))
}

/**
 * Whether clients can come in: a frontend has a `bind` line, whatever the conditions (`.if`) around it turn out to be.
 * @returns `perhaps` where there are such lines, but every one stands under a condition that may be false
 */
export function listens(structure: Structure): 'always' | 'perhaps' | 'never' {
  const outside = newBranches()
  const open = [outside]
  let isAny = false
  for (const { title, lines } of structure) {
    const isSite = /^(frontend|listen) /.test(title) && !lines.includes('disabled')
    for (const line of lines) {
      const inner = open.at(-1) ?? outside
      const [word = ''] = line.split(' ', 1)
      if (word === '.if') open.push(newBranches())
      else if (word === '.elif' || word === '.else') nextBranch(inner, word)
      else if (word === '.endif' && open.length > 1) {
        open.pop()
        if (inner.sofar && inner.now && inner.isComplete) (open.at(-1) ?? outside).now = true
      } else if (word === 'bind' && isSite) {
        inner.now = true
        isAny = true
      }
    }
  }
  return outside.now ? 'always' : isAny ? 'perhaps' : 'never'
}

/** Of one `.if`: whether each branch so far has what is looked for, whether this one has, whether there is an `.else`. */
interface Branches {
  sofar: boolean
  now: boolean
  isComplete: boolean
}

function newBranches(): Branches {
  return { sofar: true, now: false, isComplete: false }
}

function nextBranch(branches: Branches, word: '.elif' | '.else'): void {
  branches.sofar &&= branches.now
  branches.now = false
  branches.isComplete ||= word === '.else'
}

/** The addresses of all `bind` lines, one per word between commas. */
export function bindAddresses(structure: Structure): string[] {
  const lines = structure.flatMap(section => section.lines.filter(line => line.startsWith('bind ')))
  return lines.flatMap(line => (line.split(' ')[1] ?? '').split(','))
}

/** `web` → the key of its dynamic cookies, where it has one; the runtime socket can change it. */
export function cookieKeys(structure: Structure): Map<string, string> {
  const keys = new Map<string, string>()
  for (const { title, lines } of structure) {
    const [kind, name = ''] = title.split(' ')
    const [key] = lines.flatMap(line => (line.startsWith(COOKIE_KEY) ? [line.slice(COOKIE_KEY.length)] : []))
    if (key !== undefined && (kind === 'backend' || kind === 'listen')) keys.set(name, key)
  }
  return keys
}

const COOKIE_KEY = 'dynamic-cookie-key '
/** What HAProxy's socket takes as one word, whatever is in it. */
const PLAIN_KEY = /^[A-Za-z0-9_.-]{1,128}$/

/** What only a reload can bring about, in words; empty when the runtime socket is enough. */
export function structuralDifferences(running: Structure, wanted: Structure): string[] {
  if (running === wanted) return []
  const before = new Map(running.map(section => [section.title, section]))
  const after = new Map(wanted.map(section => [section.title, section]))
  const reasons: string[] = []
  for (const title of before.keys()) if (!after.has(title)) reasons.push(`${title}: removed`)
  if (
    [...before.keys()].join('\n') !== [...after.keys()].join('\n') &&
    before.size === after.size &&
    reasons.length === 0
  )
    reasons.push('order of sections changed') // `defaults` are for the sections below them
  for (const [title, section] of after) {
    const old = before.get(title)
    if (old === undefined) reasons.push(`${title}: new`)
    else reasons.push(...lineDifferences(title, old, section), ...serverDifferences(title, old, section))
  }
  return reasons
}

function lineDifferences(title: string, old: Section, section: Section): string[] {
  if (isSameList(old.lines, section.lines)) return []
  const [before, after] = [old.lines.map(withoutKey), section.lines.map(withoutKey)]
  if (before.join('\n') === after.join('\n')) return []
  const changed = [...after.filter(line => !before.includes(line)), ...before.filter(line => !after.includes(line))]
  if (changed.length === 0) return [`${title}: order of lines changed`]
  const what = [...new Set(changed.map(line => line.split(' ').slice(0, 2).join(' ')))]
  return [`${title}: ${what.slice(0, 5).join(', ')} changed`]
}

function withoutKey(line: string): string {
  const isPlain = line.startsWith(COOKIE_KEY) && PLAIN_KEY.test(line.slice(COOKIE_KEY.length))
  return isPlain ? COOKIE_KEY : line
}

function serverDifferences(title: string, old: Section, section: Section): string[] {
  if (isSameForRuntime(old.servers, section.servers)) return [] // as nearly always
  const before = new Map(old.servers.map(line => [line.name, line]))
  const names = new Set(section.servers.map(line => line.name))
  const added = section.servers.filter(line => !before.has(line.name)).length
  const removed = old.servers.filter(line => !names.has(line.name)).length
  const reasons: string[] = []
  if (added > 0) reasons.push(`${title}: ${added} server lines more`)
  if (removed > 0) reasons.push(`${title}: ${removed} server lines fewer`)
  const changed = section.servers.find(line => {
    const other = before.get(line.name)
    return other !== undefined && !sameButForRuntime(other, line)
  })
  if (changed !== undefined) reasons.push(`${title}: settings of server ${changed.name} changed`)
  if (added + removed === 0 && section.servers.some((line, i) => line.name !== old.servers[i]?.name))
    reasons.push(`${title}: order of servers changed`) // it counts for some algorithms
  return reasons
}

function isSameForRuntime(a: readonly ServerLine[], b: readonly ServerLine[]): boolean {
  const isSame = (line: ServerLine, other: ServerLine | undefined) =>
    line === other || (line.name === other?.name && sameButForRuntime(line, other))
  return a.length === b.length && a.every((line, i) => isSame(line, b[i]))
}

/** A maxconn that appears or disappears needs a reload: at run time nobody knows the default it would return to. */
function sameButForRuntime(a: ServerLine, b: ServerLine): boolean {
  const sameKind =
    (a.ip === undefined) === (b.ip === undefined) && (a.maxconn === undefined) === (b.maxconn === undefined)
  return sameKind && a.rest === b.rest
}

/**
 * @param quoted of the line, see `Split`
 * @param checks a `default-server` above it says `check`
 */
function parseServer(words: readonly string[], quoted: string, checks: boolean): ServerLine {
  const { ip, port } = parseAddress(words[2] ?? '')
  const rest: string[] = ip === undefined ? [words[2] ?? ''] : []
  const found = { weight: undefined as number | undefined, maxconn: undefined as number | undefined, disabled: false }
  let track: string | undefined
  for (let i = 3; i < words.length; i++) {
    const word = words[i] as string
    const next = words[i + 1] ?? ''
    if (word === 'disabled') found.disabled = true
    else if ((word === 'weight' || word === 'maxconn') && isAmount(word, next)) found[word] = Number(words[++i])
    else rest.push(word)
    if (word === 'track') track = next
  }
  const checked = checks || rest.includes('check')
  return { name: words[1] ?? '', ip, port, ...found, track, checked, rest: plainLine(rest) + quoted }
}

/** HAProxy refuses a weight above 256; what it refuses is not for the socket. */
function isAmount(kind: 'weight' | 'maxconn', word: string): boolean {
  return /^\d{1,9}$/.test(word) && (kind === 'maxconn' || Number(word) <= 256)
}

function parseAddress(text: string): { ip: string | undefined; port: number | undefined } {
  const found = /^(?:\[([^\]]+)\]|([^[\]]+?)):(\d{1,5})$/.exec(text)
  const ip = found?.[1] ?? found?.[2]
  const port = Number(found?.[3])
  if (ip === undefined || isIP(ip) === 0 || port < 1 || port > 65_535) return { ip: undefined, port: undefined }
  return { ip, port }
}

/** A line as HAProxy reads it. */
interface Split {
  readonly words: readonly string[]
  /** What is quoted as it is written, behind ` # `: what quotes and backslashes make of a word is HAProxy's to say. */
  readonly quoted: string
}

/**
 * Words lie between spaces and tabs; a carriage return ends the line, and is a part of the word where there is more behind it. An
 * unbalanced quote keeps the rest of the line as one word.
 */
function splitWords(raw: string): Split {
  const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
  if (!QUOTING.test(line)) return { words: plainWords(line), quoted: '' } // nearly all of them, of which a pool of thousands has many
  if (line.includes('\0')) return { words: [line], quoted: '' } // HAProxy refuses it in a comment, too
  const found: readonly string[] = line.match(SPAN) ?? []
  const spans = found.includes('#') ? found.slice(0, found.indexOf('#')) : found
  const quoted = spans.filter(span => QUOTING.test(span) && !QUOTED_PLAINLY.test(span))
  return { words: spans.map(unquoted), quoted: quoted.length === 0 ? '' : ` # ${quoted.join(' ')}` }
}

const QUOTING = /["'\\\0]/
/** A word with its quotes, or the `#` that begins a comment. */
const SPAN = /(?:"(?:\\.?|[^"\\])*(?:"|$)|'[^']*(?:'|$)|\\.?|[^ \t"'\\#])+|#/gs
/** Quotes that change nothing. */
const QUOTED_PLAINLY = /^(?:"[^"'\\$# \t\r]*"|'[^"'\\$# \t\r]*')$/

function unquoted(span: string): string {
  return span.replace(/"((?:\\.?|[^"\\])*)"?|'([^']*)'?/gs, '$1$2')
}

function plainWords(line: string): string[] {
  const comment = line.indexOf('#')
  const words = (comment < 0 ? line : line.slice(0, comment)).split(BLANKS)
  return words.filter(word => word !== '')
}

const BLANKS = /[ \t]+/
