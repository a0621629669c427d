/** What HAProxy itself says, on its sockets. */
import { connect } from 'node:net'

/** srv_op_state of `show servers state`. */
const OP_UP = '2'
/** Bit of srv_admin_state: the configuration had it `disabled`, whatever it is by now. */
const WAS_DISABLED = 0x04

/** A command to a socket, HAProxy's own or its master's. @returns its answer; empty while nobody answers there */
export function command(socket: string, text: string): Promise<string> {
  return new Promise(done => {
    let answer = ''
    const connection = connect(socket, () => connection.end(`${text}\n`))
    connection.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    connection.once('error', () => done(answer))
    connection.once('close', () => done(answer))
  })
}

/** The addresses to which HAProxy sends requests now: up, and neither drained nor in maintenance; undefined: no answer. */
export async function serving(adminSocket: string): Promise<ReadonlySet<string> | undefined> {
  const lines = (await command(adminSocket, 'show servers state')).split('\n')
  const rows = lines.filter(line => /^\d+ /.test(line)).map(line => line.split(' '))
  const up = rows.filter(([, , , , , state, admin]) => state === OP_UP && (Number(admin) & ~WAS_DISABLED) === 0)
  return lines.length < 2 ? undefined : new Set(up.map(row => row[4] ?? ''))
}
