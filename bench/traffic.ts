/** When a server is in traffic, and when it is out: seen from a client, and from HAProxy's socket. */
import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Chain, Crashable } from './chain.ts'
import { serving } from './haproxy.ts'

const POLL_MS = 2
const TIMEOUT_MS = 30_000
/** Without an answer for so long, while others answer hundreds of times a second in turn, a server is out. */
const SILENCE_MS = 500
const BETWEEN_KILLS_MS = 400

/** One GET on a new connection. @returns the address of who answered; empty when nobody did */
export function ask(site: string): Promise<string> {
  return new Promise(done => {
    const asked = get(site, { agent: false, timeout: 1_000 }, answer => {
      let text = ''
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
      answer.once('end', () => done(answer.statusCode === 200 ? text : ''))
      answer.once('error', () => done(''))
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => done(''))
  })
}

/** Milliseconds from `startedAtMs` until the first request through HAProxy was answered by `ip`. */
export async function untilIn(chain: Chain, ip: string, startedAtMs = performance.now()): Promise<number> {
  while ((await ask(chain.site)) !== ip) {
    if (performance.now() - startedAtMs > TIMEOUT_MS) throw new Error(`${chain.make}: ${ip} did not get into traffic`)
    await pause(POLL_MS)
  }
  return performance.now() - startedAtMs
}

/** Milliseconds from now until the last request that `ip` answered, or that failed: nobody else's do. */
export async function untilOut(chain: Chain, ip: string): Promise<number> {
  const startedAtMs = performance.now()
  let lastMs = startedAtMs
  while (performance.now() - lastMs < SILENCE_MS) {
    if (['', ip].includes(await ask(chain.site))) lastMs = performance.now()
    if (lastMs - startedAtMs > TIMEOUT_MS) throw new Error(`${chain.make}: ${ip} stayed in traffic`)
    await pause(POLL_MS)
  }
  return lastMs - startedAtMs
}

/** Milliseconds from now until HAProxy sends requests to all of them, to within `pollMs`. */
export async function untilServing(
  chain: Chain,
  ips: readonly string[],
  { pollMs = 50, withinMs = TIMEOUT_MS } = {},
): Promise<number> {
  const startedAtMs = performance.now()
  for (;;) {
    const up = await serving(chain.adminSocket)
    const passedMs = performance.now() - startedAtMs
    if (ips.every(ip => up?.has(ip))) return passedMs
    if (passedMs > withinMs) throw new Error(`${chain.make}: only ${[...(up ?? [])].join(' ')} serve`)
    await pause(pollMs)
  }
}

/**
 * Kills the web process of each server with SIGKILL, one every 400 ms.
 * @returns for each, milliseconds from the kill until HAProxy's socket told that it sends no request there any more
 */
export async function crashAll(chain: Chain, servers: readonly Crashable[]): Promise<number[]> {
  const pids = await Promise.all(servers.map(server => server.webPid()))
  const killedAtMs = new Map<string, number>()
  const outAfterMs = new Map<string, number>()
  const killing = killOneByOne(servers, pids, killedAtMs)
  const giveUpAtMs = performance.now() + TIMEOUT_MS
  while (outAfterMs.size < servers.length && performance.now() < giveUpAtMs) {
    const up = await serving(chain.adminSocket)
    const nowMs = performance.now()
    for (const [ip, atMs] of killedAtMs)
      if (up !== undefined && !up.has(ip) && !outAfterMs.has(ip)) outAfterMs.set(ip, nowMs - atMs)
    await pause(POLL_MS)
  }
  await killing
  if (outAfterMs.size < servers.length) throw new Error(`${chain.make}: a killed server stayed in`)
  return [...outAfterMs.values()]
}

async function killOneByOne(
  servers: readonly Crashable[],
  pids: readonly number[],
  killedAtMs: Map<string, number>,
): Promise<void> {
  for (const [index, server] of servers.entries()) {
    process.kill(pids[index] as number, 'SIGKILL')
    killedAtMs.set(server.ip, performance.now())
    await pause(BETWEEN_KILLS_MS)
  }
}
