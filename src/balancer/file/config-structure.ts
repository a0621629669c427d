import { plainLine, splitWords } from './config-words.ts'
import { type Inherited, inheritedWith, parseServer, type ServerLine } from './server-line.ts'
import { isSameList } from './structural-differences.ts'

export type { ServerLine } from './server-line.ts'
export { structuralDifferences } from './structural-differences.ts'

export interface Section {
  /** `frontend www`, `global`; the second of the same title is `defaults (2)`. */
  readonly title: string
  /** Whatever only a reload can change, servers under a condition (`.if`) among them: which of them are there HAProxy alone knows. */
  readonly lines: readonly string[]
  /** Those that its socket can change: of a `backend` or `listen`. */
  readonly servers: readonly ServerLine[]
  /** Those under a condition: the same name may stand there several times, and none may be there. */
  readonly perhaps: readonly ServerLine[]
  /** Of its dynamic cookies, where the socket can change it: the only one of a `backend` or `listen`, under no condition. */
  readonly cookieKey: string | undefined
}

export type Structure = readonly Section[]

const SECTIONS = new Set(
  [
    'global defaults frontend backend listen peers resolvers userlist ring program mailers cache http-errors fcgi-app',
    'ring log-forward namespace_list crt-store log-profile acme traces healthcheck',
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
  const drafts = new Drafts()
  for (const line of text.split('\n')) {
    const isPlain = drafts.saysAllOfServers
    const before = isPlain ? known.get(line) : undefined
    if (before !== undefined) {
      drafts.current.servers.push(before)
      continue
    }
    const { words, quoted } = splitWords(line)
    const server = drafts.read(words, quoted)
    if (server !== undefined && isPlain) known.set(line, server)
  }
  return drafts.sections()
}

/** A section while it is read. */
interface Draft {
  readonly title: string
  readonly takesCommands: boolean
  readonly lines: string[]
  readonly servers: ServerLine[]
  readonly perhaps: ServerLine[]
  /** Undefined for one under a condition. */
  readonly keys: (string | undefined)[]
  inherited: Inherited
}

const NOTHING: Inherited = { checks: false, agentChecks: false }

class Drafts {
  readonly #drafts: Draft[] = []
  readonly #titles = new Map<string, number>()
  /** Sections of defaults that have a name, and the last of all, which is for whoever names none. */
  readonly #named = new Map<string, Draft>()
  #defaults: Draft | undefined
  /** Conditions (`.if`) that are open; they may reach over several sections. */
  #conditions = 0

  get current(): Draft {
    return this.#drafts.at(-1) ?? this.#begin([TOP], '')
  }

  /** A line of a server, wherever it stood before, would be read the same here. */
  get saysAllOfServers(): boolean {
    const draft = this.#drafts.at(-1)
    if (draft === undefined || this.#conditions > 0 || !draft.takesCommands) return false
    return !draft.inherited.checks && !draft.inherited.agentChecks
  }

  /** @returns the server that the line is about, where HAProxy's socket can change it */
  read(words: readonly string[], quoted: string): ServerLine | undefined {
    const [first] = words
    if (first === undefined) return undefined
    if (SECTIONS.has(first)) {
      this.#begin(words, quoted)
      return undefined
    }
    const { current: draft } = this
    const isCertain = this.#conditions === 0
    if (first === 'server' && words.length >= 3 && draft.takesCommands) {
      const server = parseServer(words, quoted, draft.inherited)
      ;(isCertain ? draft.servers : draft.perhaps).push(server)
      if (isCertain) return server
    }
    draft.lines.push(plainLine(words) + quoted + placeOf(first, draft.servers))
    if (first === '.if') this.#conditions++
    else if (first === '.endif') this.#conditions = Math.max(0, this.#conditions - 1)
    else if (first === 'default-server') draft.inherited = inheritedWith(words, draft.inherited, isCertain)
    else if (first === COOKIE_KEY) draft.keys.push(isCertain ? plainLine(words.slice(1)) + quoted : undefined)
    return undefined
  }

  #begin(words: readonly string[], quoted: string): Draft {
    const [kind = ''] = words
    const takesCommands = kind === 'backend' || kind === 'listen'
    const title = numbered(plainLine(words) + quoted, this.#titles)
    const draft = {
      title,
      takesCommands,
      lines: [],
      servers: [],
      perhaps: [],
      keys: [],
      inherited: this.#inheritedBy(words),
    }
    this.#drafts.push(draft)
    if (kind !== 'defaults') return draft
    this.#defaults = draft
    if (words[1] !== undefined && !isNameless(words)) this.#named.set(words[1], draft)
    return draft
  }

  /** HAProxy, `from`: those defaults; else a section of defaults begins with none, and every other with the last that was declared. */
  #inheritedBy(words: readonly string[]): Inherited {
    const from = fromIn(words)
    const defaults = from === undefined ? this.#defaults : this.#named.get(from)
    return (words[0] === 'defaults' && from === undefined ? undefined : defaults)?.inherited ?? NOTHING
  }

  sections(): Structure {
    return this.#drafts.map(({ title, lines, servers, perhaps, takesCommands, keys }) => {
      const [key] = takesCommands && keys.length === 1 ? keys : []
      return { title, lines, servers, perhaps, cookieKey: key !== undefined && PLAIN_KEY.test(key) ? key : undefined }
    })
  }
}

/** The defaults that a section names: `backend web from common`. */
function fromIn(words: readonly string[]): string | undefined {
  const at = isNameless(words) ? 1 : 2
  return words[at] === 'from' ? words[at + 1] : undefined
}

/** `defaults from common`. */
function isNameless([kind, ...words]: readonly string[]): boolean {
  return kind === 'defaults' && words[0] === 'from' && words.length === 2
}

/** @param titles how often each has been seen; grows */
function numbered(title: string, titles: Map<string, number>): string {
  const count = (titles.get(title) ?? 0) + 1
  titles.set(title, count)
  return count === 1 ? title : `${title} (${count})`
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
    const [, first = '', second = ''] = /^[ \t]*([^ \t\r]+)[ \t]*([^ \t\r]*)/.exec(line) ?? []
    if (SECTIONS.has(first)) backend = first === 'backend' || first === 'listen' ? second : ''
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

/** `web/a` → its lines under conditions, of which HAProxy knows which one is there. */
export function linesPerhaps(structure: Structure): ReadonlyMap<string, readonly ServerLine[]> {
  const found = new Map<string, ServerLine[]>()
  for (const section of structure) {
    const backend = section.perhaps.length === 0 ? undefined : backendIn(section)
    if (backend === undefined) continue
    for (const line of section.perhaps) {
      const key = `${backend}/${line.name}`
      found.set(key, [...(found.get(key) ?? []), line])
    }
  }
  return found
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

/** `web` → the key of its dynamic cookies, where it has one that the runtime socket can change. */
export function cookieKeys(structure: Structure): Map<string, string> {
  const keys = new Map<string, string>()
  for (const { title, cookieKey } of structure)
    if (cookieKey !== undefined) keys.set(title.split(' ')[1] ?? '', cookieKey)
  return keys
}

const COOKIE_KEY = 'dynamic-cookie-key'
/** What HAProxy's socket takes as one word, whatever is in it. */
const PLAIN_KEY = /^[A-Za-z0-9_.-]{1,128}$/
