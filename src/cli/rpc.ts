import { parseHostPort } from '../base/index.ts'
import { connectRpc, type RpcClient } from '../serf/index.ts'
import { UsageError } from './usage-error.ts'

export interface RpcOptions {
  readonly rpcAddr?: string
  readonly rpcAuth?: string
}

const CONNECT_MS_MAX = 10_000

/** Connects as Serf's commands do: flag, else SERF_RPC_ADDR, else 127.0.0.1:7373. */
export async function withRpc<T>(options: RpcOptions, use: (client: RpcClient) => Promise<T>): Promise<T> {
  const text = options.rpcAddr ?? (process.env['SERF_RPC_ADDR'] || '127.0.0.1:7373')
  const address = parseHostPort(text, 7373)
  if (address === undefined) throw new UsageError(`-rpc-addr: "${text}" is not an address; write 127.0.0.1:7373`)
  const authKey = options.rpcAuth ?? process.env['SERF_RPC_AUTH'] ?? ''
  const client = await connectRpc(
    { ip: address.host, port: address.port },
    { timeoutMs: CONNECT_MS_MAX, ...(authKey === '' ? {} : { authKey }) },
  )
  try {
    return await use(client)
  } finally {
    client.close()
  }
}
