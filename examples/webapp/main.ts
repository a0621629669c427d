/**
 * Starts the sample application.
 *
 * Environment: `PORT` (3000), `HOST` (address to listen on; all), `SERVER_IP` (first address of this machine), `SERVER_NAME`
 * (host name), `SERVER_TAG` (empty), `SERVER_LEDGER` (file for the ids of executed POSTs; memory), `SERVER_DIES_AT_ONCE` (1: SIGTERM
 * ends it in the middle of whatever it is doing, as programs do that know no better; not).
 */
import { createServer } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import { createApp } from './app.ts'
import { addEcho } from './echo.ts'

const env = process.env
const port = Number(env['PORT'] ?? 3000)
const identity = {
  ip: env['SERVER_IP'] ?? firstAddress(),
  host: env['SERVER_NAME'] ?? hostname(),
  tag: env['SERVER_TAG'] ?? '',
}
const app = createApp({
  ...identity,
  ...(env['SERVER_LEDGER'] ? { ledgerPath: env['SERVER_LEDGER'] } : {}),
})

// Idle connections are the balancer's to close: one closed here could meet a request on its way.
const server = createServer({ keepAliveTimeout: 75_000 }, app)
addEcho(server, identity)
server.on('error', failure => {
  console.error(`cannot listen on port ${port}: ${failure.message}`)
  process.exit(1)
})
server.listen(port, env['HOST'], () => console.log(`listening on ${env['HOST'] ?? '*'}:${port}`))

// What is being answered is answered; then there is nothing left to wait for and the process ends.
if (env['SERVER_DIES_AT_ONCE'] !== '1')
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => server.close())

function firstAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  return addresses.find(address => !address.internal && address.family === 'IPv4')?.address ?? '127.0.0.1'
}
