import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../base/index.ts'
import type { Load } from '../../prove/index.ts'

/** A line that COMMAND sends: a word and a name. */
const LINE_BYTES_MAX = 512
const ANSWER_MS_MAX = 5000
/** Unix socket paths end below 108 bytes. */
const DIRECTORY_BYTES_MAX = 60

/** Listens to what COMMAND tells: acts and kills. @returns the socket's path */
export async function listenForMarks(load: () => Load): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = mkdtempSync(join(tmpdir().length > DIRECTORY_BYTES_MAX ? '/tmp' : tmpdir(), 'muster-prove-'))
  const path = join(directory, 'socket')
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket.on('close', () => void open.delete(socket)))
    hear(socket, line => obey(line, load()))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function hear(socket: Socket, obeyed: (line: string) => string): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) socket.write(`${obeyed(line)}\n`)
    if (text.length > LINE_BYTES_MAX) socket.destroy()
  })
}

function obey(line: string, load: Load): string {
  const [word = '', ...rest] = line.trim().split(/\s+/)
  const name = rest.join(' ')
  const server = name === '' ? undefined : name
  try {
    if (word === 'mark' && name !== '') load.begin(name)
    else if (word === 'kill-begins') load.killBegins(server)
    else if (word === 'kill-ends') load.killEnds(server)
    else return `"${word}" is none of mark NAME, kill-begins [SERVER], kill-ends [SERVER]`
    return 'ok'
  } catch (failure) {
    return messageOf(failure)
  }
}

/** Tells the prover at `path` a line. @throws with its reason, or when it is gone */
export function tellProver(path: string, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(`${words.join(' ').replaceAll('\n', ' ')}\n`))
    let answer = ''
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error('the prover does not answer')))
    socket.setEncoding('utf8')
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the prover has ended')))
    socket.on('data', (chunk: string) => {
      answer += chunk
      if (!answer.includes('\n')) return
      socket.destroy()
      if (answer.trim() === 'ok') resolve()
      else reject(new Error(answer.trim()))
    })
  })
}
