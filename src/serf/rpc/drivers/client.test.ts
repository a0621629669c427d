import { createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { decodeMsgpack, encodeMsgpack, type MsgpackValue } from '../../../codec/index.ts'
import { connectRpc, type RpcClient } from './client.ts'

type Answerer = (command: string, seq: number, say: (...values: MsgpackValue[]) => void, socket: Socket) => void

/** An agent that answers handshakes and leaves everything else to the test. */
async function scripted(answer: Answerer): Promise<RpcClient> {
  const server = createServer(socket => {
    const say = (...values: MsgpackValue[]) =>
      void socket.write(Buffer.concat(values.map(v => encodeMsgpack(v, 'new'))))
    socket
      .on('error', () => {})
      .on('data', chunk => {
        for (let at = 0; at < chunk.length; ) {
          const { value, end } = decodeMsgpack(chunk, at)
          at = end
          if (!(value instanceof Map) || !value.has('Command')) continue
          const command = Buffer.from((value.get('Command') as { bytes: Uint8Array }).bytes).toString()
          const seq = Number(value.get('Seq'))
          if (command === 'handshake') say({ Error: '', Seq: seq })
          else answer(command, seq, say, socket)
        }
      })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const client = await connectRpc({ ip: '127.0.0.1', port }, { timeoutMs: 5000 })
  onTestFinished(() => {
    client.close()
    server.close()
  })
  return client
}

const header = (seq: number, error = '') => ({ Error: error, Seq: seq })

test('a key operation that some nodes failed throws what the agent said, with what each node said (serf-rpc 4.13)', async () => {
  const client = await scripted((_command, seq, say) => {
    const record = { Keys: null, Messages: { n2: 'No keyring' }, NumErr: 1, NumNodes: 2, NumResp: 2 }
    say(header(seq, '1/2 nodes reported failure'), record)
  })
  await expect(client.installKey('AAAA')).rejects.toMatchObject({
    message: '1/2 nodes reported failure',
    code: 'RPC_REFUSED',
    answer: { keys: {}, messages: { n2: 'No keyring' }, nodes: 2, responses: 2, errors: 1 },
  })
})

test('keys are counted by the nodes that have them', async () => {
  const client = await scripted((_command, seq, say) =>
    say(header(seq), { Keys: { 'AA==': 300 }, Messages: {}, NumErr: 0, NumNodes: 300, NumResp: 300 }),
  )
  expect((await client.listKeys()).keys).toEqual({ 'AA==': 300 })
})

test('an unknown coordinate is none', async () => {
  const client = await scripted((_command, seq, say) =>
    say(header(seq), { Coord: { Adjustment: 0, Error: 0, Height: 0, Vec: null }, Ok: false }),
  )
  expect(await client.coordinate('nobody')).toBeUndefined()
})

test('a monitor brings lines until it is aborted; the connection stays', async () => {
  const client = await scripted((command, seq, say) => {
    say(header(seq))
    if (command === 'monitor') say(header(seq), { Log: 'one' }, header(seq), { Log: 'two\n\tlines' })
  })
  const aborter = new AbortController()
  const lines: string[] = []
  const monitor = await client.monitor('info', aborter.signal)
  for await (const line of monitor) {
    if (lines.push(line) === 2) aborter.abort()
  }
  expect(lines).toEqual(['one', 'two\n\tlines'])
  await monitor.stop()
  await client.leave()
})

test('a query ends at a record without a sender, and what comes after it does no harm (serf-rpc 4.11)', async () => {
  const client = await scripted((command, seq, say) => {
    say(header(seq))
    if (command !== 'query') return
    const record = (Type: string, From: string) => [header(seq), { From, Payload: null, Type }] as const
    say(...record('ack', 'n1'), ...record('ack', ''), ...record('done', ''))
  })
  const from: string[] = []
  for await (const answer of client.query({ name: 'load' })) from.push(answer.from)
  expect(from).toEqual(['n1'])
  await client.leave()
})

test('an agent that goes away fails what is open with the words of Serf: client closed', async () => {
  const client = await scripted((command, seq, say, socket) => {
    if (command === 'stream') say(header(seq))
    else socket.destroy()
  })
  const events = await client.events()
  await expect(client.members({ name: '(' })).rejects.toThrow('client closed')
  await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'RPC_CLOSED' })
  await expect(client.leave()).rejects.toThrow('client closed')
  await events.stop()
})

test('a record of another shape is said to be one, and is no codec error', async () => {
  const client = await scripted((_command, seq, say) => say(header(seq), { Members: 7 }))
  await expect(client.members()).rejects.toMatchObject({ code: 'RPC_PROTOCOL' })
})
