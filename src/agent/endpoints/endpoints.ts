/**
 * Endpoints in tags: how a member says where its servers listen, and how a balancer reads it. Two forms are understood:
 *
 * - plain, the way Serf users already do it: `role=backend`, with optional `port`, `pool` and `weight`;
 * - Muster's: one tag per pool, `pool.<name>=<port>[*<weight>][!]`, several joined by `+`, `!` for draining, and the empty
 *   value for a pool that the member serves though nothing of it is ready. A comma would break handler scripts, which
 *   read tags as `k=v,k=v`.
 *
 * Any `pool.` tag ends the plain reading, so that `role=backend` may stand beside it for hand-made balancers.
 */

/** Where a member serves a pool, as its tags say; ports 1 to 65535, weights 0 to 256. */
export interface Endpoint {
  readonly pool: string
  readonly port: number
  /** Undefined: the pool's own default. */
  readonly weight: number | undefined
  /** *plain*: nobody says that it is ready, only that it should exist. */
  readonly readiness: 'ready' | 'draining' | 'plain'
}

/** What a member's tags say, and what in them was refused, in words. */
export interface EndpointReading {
  readonly endpoints: readonly Endpoint[]
  readonly refused: readonly string[]
}

/** The port of a plain member that names none: the sample application's, and the lab course's. */
const PLAIN_PORT = 3000
/** Endpoints of one member in one pool; more would not fit a Serf node's 512 bytes of tags in any sensible set-up. */
const ENDPOINTS_PER_POOL_MAX = 32

const POOL_PREFIX = 'pool.'
/** As backends are named in HAProxy; a dot is kept for a backend's companions. */
const POOL_NAME = /^[A-Za-z0-9_-]{1,48}$/
const ENDPOINT = /^(\d{1,5})(?:\*(\d{1,3}))?(!)?$/

/**
 * Reads a member's tags. Anything that does not have exactly one of the two forms is refused and named; the sound rest
 * counts.
 * @param defaults the pool, and its port, of plain members that name none
 */
export function readEndpoints(
  tags: Readonly<Record<string, string>>,
  defaults: { readonly pool: string; readonly port?: number },
): EndpointReading {
  const pools = Object.keys(tags).filter(key => key.startsWith(POOL_PREFIX))
  if (pools.length === 0) return tags['role'] === 'backend' ? readPlain(tags, defaults) : { endpoints: [], refused: [] }
  const endpoints: Endpoint[] = []
  const refused: string[] = []
  for (const key of pools.sort()) {
    const reading = readPool(key.slice(POOL_PREFIX.length), tags[key] ?? '')
    endpoints.push(...reading.endpoints)
    refused.push(...reading.refused)
  }
  return { endpoints, refused }
}

/** The tag value for a pool's endpoints; the inverse of reading. Sorted by port, so that the same set gives the same tag. */
export function formatPoolTag(endpoints: readonly Pick<Endpoint, 'port' | 'weight' | 'readiness'>[]): string {
  return [...endpoints]
    .sort((a, b) => a.port - b.port)
    .map(e => `${e.port}${e.weight === undefined ? '' : `*${e.weight}`}${e.readiness === 'draining' ? '!' : ''}`)
    .join('+')
}

/** The tag's key for a pool. */
export function poolTag(pool: string): string {
  return POOL_PREFIX + pool
}

/** Loopback and link-local addresses mean something else on every host, so a stranger's must not enter a pool. */
export function isHostLocal(ip: string): boolean {
  return /^(127\.|169\.254\.|0\.|::1$|::$|fe[89ab][0-9a-f]:)/i.test(ip)
}

function readPool(pool: string, value: string): EndpointReading {
  if (!POOL_NAME.test(pool)) return refuse(`pool name ${JSON.stringify(pool)} is not 1 to 48 letters, digits, - or _`)
  if (value === '') return { endpoints: [], refused: [] }
  const texts = value.split('+', ENDPOINTS_PER_POOL_MAX + 1)
  if (texts.length > ENDPOINTS_PER_POOL_MAX)
    return refuse(`pool ${pool}: more than ${ENDPOINTS_PER_POOL_MAX} endpoints`)
  const endpoints: Endpoint[] = []
  const refused: string[] = []
  for (const text of texts) {
    const endpoint = readEndpoint(pool, text)
    if (endpoint === undefined) refused.push(`pool ${pool}: ${JSON.stringify(text)} is not port[*weight][!]`)
    else if (endpoints.some(other => other.port === endpoint.port)) refused.push(`pool ${pool}: port ${text} twice`)
    else endpoints.push(endpoint)
  }
  return { endpoints, refused }
}

function readEndpoint(pool: string, text: string): Endpoint | undefined {
  const found = ENDPOINT.exec(text)
  if (found === null) return undefined
  const port = Number(found[1])
  const weight = found[2] === undefined ? undefined : Number(found[2])
  if (!isPort(port) || !isWeight(weight)) return undefined
  return { pool, port, weight, readiness: found[3] === undefined ? 'ready' : 'draining' }
}

function readPlain(
  tags: Readonly<Record<string, string>>,
  defaults: { readonly pool: string; readonly port?: number },
): EndpointReading {
  const pool = tags['pool'] ?? defaults.pool
  const port = tags['port'] === undefined ? (defaults.port ?? PLAIN_PORT) : readNumber(tags['port'])
  const weight = tags['weight'] === undefined ? undefined : readNumber(tags['weight'])
  if (!POOL_NAME.test(pool)) return refuse(`tag pool=${JSON.stringify(pool)} is not 1 to 48 letters, digits, - or _`)
  if (!isPort(port)) return refuse(`tag port=${JSON.stringify(tags['port'])} is not a port`)
  if (!isWeight(weight)) return refuse(`tag weight=${JSON.stringify(tags['weight'])} is not 0 to 256`)
  return { endpoints: [{ pool, port, weight, readiness: 'plain' }], refused: [] }
}

function readNumber(text: string): number {
  return /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65535
}

function isWeight(weight: number | undefined): boolean {
  return weight === undefined || (weight >= 0 && weight <= 256)
}

function refuse(reason: string): EndpointReading {
  return { endpoints: [], refused: [reason] }
}
