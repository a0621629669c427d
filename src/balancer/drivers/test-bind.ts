import { createServer, isIP } from 'node:net'
import { portHolder } from '../../base/index.ts'
import { BindError } from '../errors.ts'

/**
 * Binds, for a moment, each address that HAProxy does not have yet: `haproxy -c` accepts an address that cannot be bound,
 * and the reload would then refuse connections for two seconds. What is not `ip:port` is left to HAProxy.
 * @param held what HAProxy listens on already; its ports are not tested, since it shares them with itself
 * @throws BindError naming the address and why
 */
export async function assertBindable(wanted: readonly string[], held: readonly string[]): Promise<void> {
  const heldPorts = new Set(held.map(address => /:(\d+)$/.exec(address)?.[1]))
  for (const address of wanted) {
    if (held.includes(address)) continue
    const found = /^(?:ipv[46]@)?\[?([^\]]*?)\]?:(\d{1,5})$/.exec(address)
    if (found === null) continue
    const [, host = '', port = ''] = found
    const ip = host === '' || host === '*' ? '0.0.0.0' : host
    if (isIP(ip) === 0) continue
    const failure = await bindFailure(ip, Number(port))
    if (failure === undefined || (failure === 'EADDRINUSE' && heldPorts.has(port))) continue
    const holder = failure === 'EADDRINUSE' ? portHolder({ ip, port: Number(port) }) : undefined
    const why = holder === undefined ? (WORDS[failure] ?? failure) : `${holder} has it`
    throw new BindError(`cannot listen on ${address}: ${why}. Nothing was changed`, address)
  }
}

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has it',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'a port below 1024 needs privileges',
}

function bindFailure(ip: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', error => resolve((error as NodeJS.ErrnoException).code ?? error.message))
    server.listen({ host: ip, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
