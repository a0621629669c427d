import { type AgentStatus, apiRequest } from '../api/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { formatOf, print, printJson, report } from './output.ts'
import { formatTable, printableLines } from './table.ts'

export async function runStatus(options: ApiOptions): Promise<void> {
  const format = formatOf(options)
  const status = await apiRequest(socketOf(options), 'GET /v1/status')
  if (format === 'json') printJson(status)
  else print(statusText(status).trimEnd())
}

export async function runHandover(options: ApiOptions): Promise<void> {
  await apiRequest(socketOf(options), 'POST /v1/handover')
  const sentence = 'The agent is stopping without leaving; its services and HAProxy run on. Start the next one now.'
  report(options, sentence, { handover: true })
}

/** Who runs, what runs, and each pool's servers with the reason for their state. */
export function statusText(status: AgentStatus): string {
  const counts = Object.entries(status.members).filter(([, count]) => count > 0)
  const members = counts.map(([state, count]) => `${count} ${state}`).join(', ')
  const parts = [`node ${status.node}  muster ${status.version}  pid ${status.pid}  members: ${members}`]
  if (status.services.length > 0) {
    const rows = status.services.map(one => [
      one.name,
      one.state,
      one.pid === undefined ? '-' : String(one.pid),
      one.reason ?? '',
    ])
    parts.push(formatTable([['SERVICE', 'STATE', 'PID', 'REASON'], ...rows]))
  }
  if (status.balancer !== undefined) parts.push(...balancerParts(status.balancer))
  if ((status.warnings ?? []).length > 0) parts.push((status.warnings ?? []).map(one => `warning: ${one}`).join('\n'))
  return `${printableLines(parts.join('\n\n'))}\n`
}

function balancerParts(balancer: NonNullable<AgentStatus['balancer']>): string[] {
  const { version, pid, state, reloads } = balancer.haproxy
  const parts = [`haproxy ${version ?? ''}  ${state}${pid === undefined ? '' : `  pid ${pid}`}  reloads: ${reloads}`]
  for (const old of balancer.haproxy.oldWorkers ?? [])
    parts.push(`old worker pid ${old.pid}: ${old.sessions} connections, since ${Math.round(old.ageMs / 1_000)} s`)
  const rows = balancer.pools.flatMap(pool =>
    pool.servers.length === 0
      ? [[pool.name, '-', '-', 'empty', '-', 'no member serves this pool']]
      : pool.servers.map(one => [pool.name, one.name, one.address, one.state, String(one.sessions ?? '-'), one.reason]),
  )
  parts.push(formatTable([['POOL', 'SERVER', 'ADDRESS', 'STATE', 'SESSIONS', 'REASON'], ...rows]))
  for (const { name, retries = 0, waiting = 0 } of balancer.pools) {
    if (waiting > 0) parts.push(`pool ${name}: ${waiting} requests wait for a server`)
    if (retries > 0) parts.push(`pool ${name}: ${retries} requests were sent again since the last start or reload`)
  }
  const notes = [
    ...(balancer.guards ?? []).map(one => `guard: ${one}`),
    ...(balancer.drifts ?? []).map(one => `drift: ${one}`),
  ]
  if (notes.length > 0) parts.push(notes.join('\n'))
  if (balancer.advice.length > 0) parts.push(balancer.advice.map(one => `advice: ${one}`).join('\n'))
  return parts
}
