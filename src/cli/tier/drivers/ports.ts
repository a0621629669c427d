import { createServer } from 'node:net'

/** Where everything of the demo listens. */
export interface DemoPorts {
  readonly site: number
  readonly stats: number
  readonly gossip: number
  readonly web: number
  /** Of real Serf agents, where those gossip. */
  readonly rpc: number
}

const WANTED: DemoPorts = { site: 8080, stats: 1936, gossip: 7946, web: 3000, rpc: 7373 }
const TRIES_MAX = 200

/**
 * The first free ports from the wanted ones on. Gossip, web and RPC ports are free on all `ips`, so that they are the same
 * everywhere.
 * @param say told of each port that was skipped
 */
export async function freePorts(ips: readonly string[], say: (sentence: string) => void): Promise<DemoPorts> {
  const first = ips.slice(0, 1)
  const site = await freePort('site', WANTED.site, first, [], say)
  const stats = await freePort('statistics', WANTED.stats, first, [site], say)
  const web = await freePort('servers', WANTED.web, ips, [site, stats], say)
  const gossip = await freePort('gossip', WANTED.gossip, ips, [site, stats, web], say)
  const rpc = await freePort('RPC', WANTED.rpc, ips, [site, stats, web, gossip], say)
  return { site, stats, web, gossip, rpc }
}

async function freePort(
  what: string,
  wanted: number,
  ips: readonly string[],
  used: readonly number[],
  say: (sentence: string) => void,
): Promise<number> {
  for (let port = wanted; port < wanted + TRIES_MAX; port++) {
    if (used.includes(port)) continue
    const free = await Promise.all(ips.map(ip => canListen(ip, port)))
    if (!free.every(Boolean)) continue
    if (port !== wanted) say(`port ${wanted} for ${what} is taken; using ${port}`)
    return port
  }
  throw new Error(`no free port for ${what} from ${wanted} to ${wanted + TRIES_MAX - 1}`)
}

/** Whether a TCP listener can be had there now. */
export function canListen(ip: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, ip, () => server.close(() => resolve(true)))
  })
}
