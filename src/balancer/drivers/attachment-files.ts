import { createHash, X509Certificate } from 'node:crypto'
import { constants, type FileHandle, open, readdir } from 'node:fs/promises'
import {
  type Attachment,
  type Attachments,
  fingerprintOf,
  isSpeakable,
  parseEntries,
  type Reference,
} from '../file/attachments.ts'

/** A larger file is compared as a whole, by its first bytes, its size and when it was written. */
const BYTES_MAX = 4 << 20
const CERTIFICATES_PER_DIRECTORY_MAX = 256

/** Reads what the references name; what cannot be read is left out: `haproxy -c` says so in its own words when it matters. */
export async function readAttachments(references: readonly Reference[]): Promise<Attachments> {
  const found = await Promise.all(references.map(readReference))
  return new Map(found.flat())
}

/** Without blocking: a pipe, which nobody writes to, would keep one of the few threads for files for ever. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK

async function readReference({ kind, path }: Reference): Promise<[string, Attachment][]> {
  try {
    const file = await open(path, READ)
    try {
      const found = await file.stat()
      if (found.isFile()) return [[path, attachmentOf(isSpeakable(path) ? kind : 'other', await textOf(file))]]
      if (!found.isDirectory()) return []
    } finally {
      await file.close()
    }
    return kind === 'certificate' ? await readDirectory(path) : []
  } catch {
    return []
  }
}

/** `crt DIRECTORY`: every certificate in it; one more or fewer takes a reload. */
async function readDirectory(path: string): Promise<[string, Attachment][]> {
  const names = (await readdir(path)).filter(name => !/\.(key|ocsp|sctl|issuer|dh)$/.test(name)).sort()
  const kept = names.slice(0, CERTIFICATES_PER_DIRECTORY_MAX)
  const directory = path.replace(/\/+$/, '') // so does HAProxy, which names the files by it
  const files = await Promise.all(
    kept.map(name => readReference({ kind: 'certificate', path: `${directory}/${name}` })),
  )
  return [[path, { kind: 'other', digest: digestOf(names.join('\n')) }], ...files.flat()]
}

async function textOf(file: FileHandle): Promise<string> {
  const { size, mtimeMs } = await file.stat()
  const buffer = Buffer.alloc(Math.min(size, BYTES_MAX))
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
  return buffer.subarray(0, bytesRead).toString('latin1') + (size > BYTES_MAX ? `\n${size} ${mtimeMs}` : '')
}

function attachmentOf(kind: Reference['kind'], text: string): Attachment {
  const other: Attachment = { kind: 'other', digest: digestOf(text) }
  if (kind === 'other' || text.length > BYTES_MAX) return other
  return (kind === 'certificate' ? certificateOf(text) : parseEntries(kind, text)) ?? other
}

function certificateOf(pem: string): Attachment | undefined {
  try {
    const blocks = pem.match(BLOCK) ?? []
    const certificates = blocks.filter(block => CERTIFICATE.test(block)).length
    const fingerprint = fingerprintOf(new X509Certificate(pem).fingerprint, certificates - 1)
    const digest = digestOf(blocks.join('\n').replace(/[ \t\r]/g, ''))
    return { kind: 'certificate', fingerprint, digest, pem: /PRIVATE KEY-----/.test(pem) ? pem : undefined }
  } catch {
    return undefined // no certificate: HAProxy will say so
  }
}

/** What HAProxy reads of it; other words may stand between. */
const BLOCK = /-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----/gs
const CERTIFICATE = /^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
