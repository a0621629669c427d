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
  | { readonly kind: 'certificate'; readonly fingerprint: string; readonly pem: string | undefined }
  | { readonly kind: 'other'; readonly digest: string }

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

/** Maps whose order of entries decides are compared as a whole. */
const KEYED_MAP = /\bmap(?:_(?:str|ip|int|beg))?(?:_(?:str|ip|int))?\(([^,()\s]+)/g
const ANY_MAP = /\bmap(?:_[a-z]+)*\(([^,()\s]+)/g

/** The files that a configuration names, each once; a path that is used in two ways is `other`. */
export function references(structure: Structure): Reference[] {
  const found = new Map<string, Reference['kind']>()
  const add = (kind: Reference['kind'], path: string | undefined): void => {
    if (path === undefined || !path.startsWith('/') || found.size >= REFERENCES_MAX) return
    const before = found.get(path)
    found.set(path, before === undefined || before === kind ? kind : 'other')
  }
  for (const section of structure) {
    for (const line of section.lines) {
      const keyed = new Set([...line.matchAll(KEYED_MAP)].map(([, path]) => path))
      for (const [, path] of line.matchAll(ANY_MAP)) add(keyed.has(path) ? 'map' : 'other', path)
      for (const [, path] of line.matchAll(/ -f (\S+)/g)) add('acl', path)
      if (line.startsWith('bind ')) for (const [, path] of line.matchAll(/ crt (\S+)/g)) add('certificate', path)
      for (const [, path] of line.matchAll(
        /(?:^errorfile \d+| (?:ca-file|crl-file|crt-list|lua-load|ca-verify-file)) (\S+)/g,
      ))
        add('other', path)
    }
  }
  return [...found].map(([path, kind]) => ({ path, kind }))
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

/** The fingerprint in the answer to `show ssl cert FILE`: lower case, without colons; undefined when it is not loaded. */
export function parseFingerprint(reply: string): string | undefined {
  return /^SHA1 FingerPrint: ([0-9A-F:]+)/im.exec(reply)?.[1]?.replaceAll(':', '').toLowerCase()
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
  have: { readonly fingerprint: string },
  want: { readonly fingerprint: string; readonly pem: string | undefined },
  takesPayload: boolean,
): AttachmentCommand[] | string {
  if (have.fingerprint === want.fingerprint) return []
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
