import type { Structure } from './config-structure.ts'

/** A file that the configuration names, and what HAProxy makes of it. */
export interface Reference {
  /** `map`, `acl` and `certificate` can be changed while HAProxy runs; of `other` (error pages, CA files, lists) only a reload can tell it. */
  readonly kind: 'map' | 'acl' | 'certificate' | 'other'
  readonly path: string
}

/** What such a file holds: in a map key and value, of an ACL its patterns, of a certificate what tells it from another. */
export type Attachment =
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, string> }
  | { readonly kind: 'acl'; readonly entries: ReadonlyMap<string, ''> }
  | Certificate
  | { readonly kind: 'other'; readonly digest: string }

export interface Certificate {
  readonly kind: 'certificate'
  /** Of the certificate itself, and how many of its issuers are with it: `ab12`, `ab12 +2`. HAProxy does not tell which. */
  readonly fingerprint: string
  /** Of all that the file holds; undefined where only HAProxy's answer is known. */
  readonly digest?: string
  readonly pem: string | undefined
}

/** By path. */
export type Attachments = ReadonlyMap<string, Attachment>

export type AttachmentCommand =
  | { readonly kind: 'add map' | 'set map'; readonly path: string; readonly key: string; readonly value: string }
  | { readonly kind: 'add acl' | 'del acl' | 'del map'; readonly path: string; readonly key: string }
  | { readonly kind: 'set ssl cert'; readonly path: string; readonly pem: string }
  | { readonly kind: 'commit ssl cert'; readonly path: string }

/** A change of more entries than this is one reload: cheaper, and all at once. */
const ENTRIES_CHANGED_MAX = 500
/** HAProxy takes a payload of 16 300 bytes (bufsize 16 384). */
const PEM_BYTES_MAX = 16_000
/** What stands in a command as it is: no space, no `;`, no backslash, nothing that ends it, and no `<<`, which begins a payload. */
const PLAIN = /^(?!.*<<)[\x21-\x3a\x3c-\x5b\x5d-\x7e]{1,2000}$/
const VALUE = /^(?!.*<<)[\x20-\x3a\x3c-\x5b\x5d-\x7e]{0,2000}$/
const REFERENCES_MAX = 256

/** Whatever a server line may name. */
const NAMES_FILES = /(?:^| )(?:crt|ca-file|crl-file|ca-verify-file|ca-sign-file) /

/** What is read at the start, and nothing tells of: a page, a list, a program of HAProxy's own. */
const WHOLE_FILE = /(?:^errorfile \d+|^lua-load(?:-per-thread)?| (?:crt-list|errorfile|lf-file|file)) (\S+)/g

/** Maps whose order of entries decides are compared as a whole. */
const KEYED_MAP = /\bmap(?:_(?:str|ip|int|beg))?(?:_(?:str|ip|int))?\(([^,()\s]+)/g
const ANY_MAP = /\bmap(?:_[a-z]+)*\(([^,()\s]+)/g

const REFERENCES = new WeakMap<Structure, readonly Reference[]>()

/** The files that a configuration names, each once; a path that is used in two ways is `other`. */
export function references(structure: Structure): readonly Reference[] {
  const known = REFERENCES.get(structure)
  if (known !== undefined) return known
  const found = new Map<string, Reference['kind']>()
  const add = (kind: Reference['kind'], path: string | undefined): void => {
    if (path === undefined || !path.startsWith('/') || found.size >= REFERENCES_MAX) return
    const before = found.get(path)
    found.set(path, before === undefined || before === kind ? kind : 'other')
  }
  const bases = basesIn(structure)
  for (const { lines, servers } of structure) {
    for (const line of lines) addLine(line, bases, add)
    for (const { rest } of servers) addServer(rest, bases, add)
  }
  const all = [...found].map(([path, kind]) => ({ path, kind }))
  REFERENCES.set(structure, all)
  return all
}

type Add = (kind: Reference['kind'], path: string | undefined) => void

function addLine(line: string, bases: Bases, add: Add): void {
  const keyed = new Set([...line.matchAll(KEYED_MAP)].map(([, path]) => path))
  for (const [, path] of line.matchAll(ANY_MAP)) add(keyed.has(path) ? 'map' : 'other', path)
  for (const [, path] of line.matchAll(/ -f (\S+)/g)) add('acl', path)
  for (const [, path] of line.matchAll(WHOLE_FILE)) add('other', path)
  if (line.startsWith('bind ')) {
    for (const [, path] of line.matchAll(/ crt (\S+)/g)) add('certificate', at(bases.crt, path))
    addAuthorities(line, bases, add)
  } else if (/^(?:default-)?server /.test(line)) addServer(line, bases, add)
  else addAuthorities(line, bases, add)
}

/** What a server trusts, and our own certificate for it; also of a `default-server`, or a server under a condition. */
function addServer(line: string, bases: Bases, add: Add): void {
  if (!NAMES_FILES.test(line)) return // as nearly all, of which a pool of thousands has many
  for (const [, path] of ` ${line}`.matchAll(/ crt (\S+)/g)) add('other', at(bases.crt, path))
  addAuthorities(` ${line}`, bases, add)
}

function addAuthorities(line: string, bases: Bases, add: Add): void {
  for (const [, path] of line.matchAll(/ (?:ca-file|crl-file|ca-verify-file|ca-sign-file) (\S+)/g))
    add('other', at(bases.ca, path))
}

/** `crt-base`, `ca-base`: where files are that are named without a `/` in front. */
interface Bases {
  readonly crt: string | undefined
  readonly ca: string | undefined
}

function basesIn(structure: Structure): Bases {
  const lines = structure.filter(({ title }) => title.startsWith('global')).flatMap(section => section.lines)
  const last = (keyword: string) => lines.findLast(line => line.startsWith(keyword))?.slice(keyword.length)
  return { crt: last('crt-base '), ca: last('ca-base ') }
}

/** The path as HAProxy makes it, by which its socket knows it. */
function at(base: string | undefined, path: string | undefined): string | undefined {
  return base === undefined || path === undefined || path.startsWith('/') ? path : `${base}/${path}`
}

/**
 * A map's or an ACL's file: key and value, or a pattern, a line each.
 * @returns undefined when its order decides (a key stands there twice) or a line could not be sent over the socket
 */
export function parseEntries(kind: 'map' | 'acl', text: string): Attachment | undefined {
  const entries = new Map<string, string>()
  for (const raw of text.split('\n')) {
    const line = raw.replace(/^[ \t]+|[ \t\r]+$/g, '') // as HAProxy does: other blanks belong to the entry
    if (line === '' || line.startsWith('#')) continue
    const [, key = '', value = ''] = (kind === 'map' ? /^([^ \t]+)[ \t]*(.*)$/ : /^(.*)()$/).exec(line) ?? []
    if (entries.has(key) || !PLAIN.test(key) || !VALUE.test(value)) return undefined
    entries.set(key, value)
  }
  return { kind, entries } as Attachment
}

/** Whether this path can be asked for over the socket. */
export function isSpeakable(path: string): boolean {
  return PLAIN.test(path)
}

/** What `show map` and `show acl` answer: an address, the key, the value. @returns undefined also for one that HAProxy does not have */
export function parseShown(kind: 'map' | 'acl', reply: string): Attachment | undefined {
  const rows = reply.split('\n').filter(row => /^0x[0-9a-f]+ /.test(row))
  if (rows.length === 0 && reply.trim() !== '') return undefined
  return parseEntries(kind, rows.map(row => row.replace(/^0x[0-9a-f]+ /, '')).join('\n'))
}

/** The `fingerprint` in the answer to `show ssl cert FILE`; undefined when it is not loaded. */
export function parseFingerprint(reply: string): string | undefined {
  const own = /^SHA1 FingerPrint: ([0-9A-F:]+)/im.exec(reply)?.[1]
  return own === undefined ? undefined : fingerprintOf(own, [...reply.matchAll(/^Chain Subject: /gm)].length)
}

/** @param own of the certificate, as OpenSSL writes it @param issuers how many are with it */
export function fingerprintOf(own: string, issuers: number): string {
  return own.replaceAll(':', '').toLowerCase() + (issuers === 0 ? '' : ` +${issuers}`)
}

/**
 * What HAProxy has of its certificates, with all that was in their files when it read them, which it does not tell.
 * @param read as of then
 */
export function withDigests(shown: Attachments, read: Attachments): Attachments {
  const whole = [...shown].map(([path, attachment]): [string, Attachment] => {
    const before = read.get(path)
    if (attachment.kind !== 'certificate' || before?.kind !== 'certificate') return [path, attachment]
    const isAsRead = isSameFingerprint(attachment.fingerprint, before.fingerprint) && before.digest !== undefined
    return [path, isAsRead ? { ...attachment, digest: before.digest } : attachment]
  })
  return new Map(whole)
}

/** @param wanted without issuers HAProxy looks for some itself (`issuers-chain-path`) */
function isSameFingerprint(running: string, wanted: string): boolean {
  return running === wanted || running.startsWith(`${wanted} +`)
}

/**
 * What changes the one into the other while HAProxy runs, or in words why that takes a reload.
 * @param takesPayload whether HAProxy's socket takes more than a line
 */
export function attachmentChanges(
  running: Attachments,
  wanted: Attachments,
  takesPayload = true,
): { readonly commands: AttachmentCommand[]; readonly reasons: string[] } {
  const commands: AttachmentCommand[] = []
  const reasons: string[] = []
  for (const [path, want] of wanted) {
    const have = running.get(path)
    if (have === undefined) continue // the structure differs as well, or HAProxy does not tell
    const change = attachmentChange(path, have, want, takesPayload)
    if (typeof change === 'string') reasons.push(change)
    else commands.push(...change)
  }
  return { commands, reasons }
}

function attachmentChange(
  path: string,
  have: Attachment,
  want: Attachment,
  takesPayload: boolean,
): AttachmentCommand[] | string {
  if (have.kind !== want.kind) return `${path}: changed`
  if (want.kind === 'other') return (have as typeof want).digest === want.digest ? [] : `${path}: changed`
  if (want.kind === 'certificate') return certificateChange(path, have as typeof want, want, takesPayload)
  const commands = entryChanges(want.kind, path, (have as typeof want).entries, want.entries)
  return commands.length > ENTRIES_CHANGED_MAX ? `${path}: ${commands.length} entries changed` : commands
}

function certificateChange(
  path: string,
  have: Certificate,
  want: Certificate,
  takesPayload: boolean,
): AttachmentCommand[] | string {
  const isSameFile = have.digest === undefined || have.digest === want.digest
  if (isSameFile && isSameFingerprint(have.fingerprint, want.fingerprint)) return []
  if (!takesPayload) return `${path}: another certificate, which takes HAProxy's own socket (stats socket)`
  const { pem } = want
  if (pem === undefined || Buffer.byteLength(pem) > PEM_BYTES_MAX) return `${path}: another certificate`
  return [
    { kind: 'set ssl cert', path, pem: pem.replace(/\r/g, '').replace(/\n[ \t]*\n/g, '\n') },
    { kind: 'commit ssl cert', path },
  ]
}

/** New entries first: a request that comes between two commands finds the old one or the new one. */
function entryChanges(
  kind: 'map' | 'acl',
  path: string,
  have: ReadonlyMap<string, string>,
  want: ReadonlyMap<string, string>,
): AttachmentCommand[] {
  const commands: AttachmentCommand[] = []
  for (const [key, value] of want) {
    const old = have.get(key)
    if (old === undefined)
      commands.push(kind === 'map' ? { kind: 'add map', path, key, value } : { kind: 'add acl', path, key })
    else if (kind === 'map' && old !== value) commands.push({ kind: 'set map', path, key, value })
  }
  for (const key of have.keys()) if (!want.has(key)) commands.push({ kind: `del ${kind}`, path, key })
  return commands
}
