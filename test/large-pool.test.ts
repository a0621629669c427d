/** 2,000 backends: hand-made chains took 5 s for one change there, and wrote a file of 0 bytes at 3,500. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type Balancer, type Server, spawnSupervise, startBalancer } from '../src/balancer/index.ts'
import { Scope, silentLog, systemClock, systemRandom } from '../src/base/index.ts'
import { eventually, part } from './parts.ts'

const run = promisify(execFile)
const COUNT = 2_000
/** All of them are this one listener, on 127.0.64.1 to 127.0.71.250. */
const PORT = 21_964

function serverOf(at: number): Server {
  const name = `web-${at}`
  const ip = `127.0.${64 + Math.floor(at / 250)}.${1 + (at % 250)}`
  return { pool: 'web', name, host: name, ip, port: PORT, weight: 1, state: 'ready', liveness: 'alive' }
}

async function listen(scope: Scope): Promise<void> {
  const listener = createServer(socket => socket.on('error', () => socket.destroy()).end())
  await new Promise<void>(listening => listener.listen(PORT, '0.0.0.0', listening))
  scope.defer(() => new Promise<void>(closed => listener.close(() => closed())))
}

function readyOf(balancer: Balancer): number {
  return balancer.status().pools[0]?.servers.filter(server => server.state === 'ready').length ?? 0
}

/** Members named in the file, once for each server line. */
function namedIn(path: string): string[] {
  const lines = readFileSync(path, 'utf8').matchAll(/^ *server slot\d+ .* # (\S+)$/gm)
  return Array.from(lines, line => line[1] ?? '')
}

test('2,000 servers join at once, and one that goes is a few commands and a whole file, without a reload', async () => {
  await using scope = new Scope()
  const directory = mkdtempSync(join(tmpdir(), 'lp-'))
  scope.defer(() => rmSync(directory, { recursive: true }))
  await listen(scope)
  const supervise = spawnSupervise(silentLog)
  scope.defer(() => supervise.stop())
  const configPath = join(directory, 'haproxy.cfg')
  const config = {
    ...{ template: 'slots' as const, configPath, runDir: directory, pools: { web: {} } },
    ...{ frontends: { www: { bind: '127.0.60.1:21960', pool: 'web' } }, node: { name: 'lb', ip: '127.0.60.1' } },
  }
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, supervise }
  const balancer = scope.use(await startBalancer(config, deps))
  const servers = Array.from({ length: COUNT }, (_, at) => serverOf(at))
  balancer.wanted(servers)
  await balancer.settle()
  expect(balancer.status().problem).toBeUndefined()
  await eventually(
    () => readyOf(balancer),
    ready => ready === COUNT,
    60_000,
  )
  await balancer.settle()
  const before = balancer.status()
  expect(before.reloads).toBeLessThanOrEqual(2) // for more slots
  expect(namedIn(configPath).sort()).toEqual(servers.map(server => server.name).sort())

  const startedAtMs = performance.now()
  const without = servers.filter(server => server.name !== 'web-1000')
  balancer.wanted([...without, { ...serverOf(1000), liveness: 'withdrawn' }])
  await balancer.settle()
  console.log(`one of ${COUNT} servers was out after ${Math.round(performance.now() - startedAtMs)} ms`)
  const after = balancer.status()
  expect(after).toMatchObject({ problem: undefined, reloads: before.reloads })
  expect(after.runtimeCommands - before.runtimeCommands).toBeLessThanOrEqual(4)
  expect(namedIn(configPath).sort()).toEqual(without.map(server => server.name).sort())
  expect(readyOf(balancer)).toBe(COUNT - 1)
  await run(part('haproxy'), ['-c', '-f', configPath])
}, 120_000)
