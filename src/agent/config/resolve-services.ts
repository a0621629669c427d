import type { Address } from '../../base/index.ts'
import type { FileSettings } from './schema.ts'
import { type Findings, isWildcard } from './findings.ts'
import type { ReadyCheck, ServiceConfig } from './types.ts'

type Given = NonNullable<FileSettings['services']>[string]

/** The supervisor knows it by this name. */
const HAPROXY = 'haproxy'

export function resolveServices(
  services: Readonly<Record<string, Given>>,
  bind: Address,
  findings: Findings,
): ServiceConfig[] {
  checkEndpoints(services, findings)
  return Object.entries(services).map(([name, given]) => resolveService(name, given, bind, findings))
}

/** A balancer tells a member's servers apart by their ports: two in one pool with the same port would be refused there. */
function checkEndpoints(services: Readonly<Record<string, Given>>, findings: Findings): void {
  const takenBy = new Map<string, string>()
  for (const [name, { pool, port }] of Object.entries(services)) {
    if (pool === undefined || port === undefined) continue
    const endpoint = `port ${port} in pool "${pool}"`
    const other = takenBy.get(endpoint)
    const path = `services.${name}`
    if (other !== undefined) findings.problem(`${path}.port`, `${path}.port: ${endpoint} is taken by services.${other}`)
    takenBy.set(endpoint, name)
  }
}

function resolveService(name: string, given: Given, bind: Address, findings: Findings): ServiceConfig {
  const path = `services.${name}`
  if (name === HAPROXY)
    findings.problem(path, `${path}: this name is that of the HAProxy which "balancer" runs; choose another`)
  if (given.pool !== undefined && given.port === undefined) {
    findings.problem(path, `${path}: "pool" needs a "port": where balancers reach the service`)
  }
  const min = given.restart?.min ?? 100
  const max = given.restart?.max ?? Math.max(30_000, min)
  if (max < min)
    findings.problem(`${path}.restart.max`, `${path}.restart.max: ${max} ms is below restart.min: ${min} ms`)
  const ip = given.ip ?? (isWildcard(bind.ip) ? '127.0.0.1' : bind.ip)
  const ready = readyOf(path, given, ip, findings)
  return {
    name,
    command: given.command,
    env: given.env ?? {},
    ...(given.cwd === undefined ? {} : { cwd: given.cwd }),
    ...(given.user === undefined ? {} : { user: given.user }),
    ...(ready === undefined ? {} : { ready }),
    readyTimeoutMs: given.ready?.timeout ?? 60_000,
    stopSignal: given.stop?.signal ?? 'SIGTERM',
    stopTimeoutMs: given.stop?.timeout ?? 10_000,
    drainTimeoutMs: given.stop?.drain ?? 30_000,
    silentBalancer: given.stop?.silent ?? 'proceed',
    restart: {
      minMs: min,
      maxMs: max,
      stableMs: given.restart?.stable ?? 10_000,
      quarantineAfter: given.restart?.quarantine_after ?? 10,
    },
    logMaxBytes: given.log_max_bytes ?? 16 * 1024 * 1024,
    ...(given.pool === undefined ? {} : { pool: given.pool }),
    ...(given.port === undefined ? {} : { port: given.port }),
    ip,
    weight: given.weight ?? 1,
  }
}

function readyOf(path: string, given: Given, ip: string, findings: Findings): ReadyCheck | undefined {
  const ready = given.ready ?? {}
  if (ready.tcp !== undefined && ready.http !== undefined) {
    findings.problem(`${path}.ready`, `${path}.ready: "tcp" and "http" exclude each other`)
  }
  const port = (typeof ready.tcp === 'number' ? ready.tcp : ready.port) ?? given.port
  if (port === undefined) {
    if (given.ready !== undefined)
      findings.problem(`${path}.ready`, `${path}.ready: where? Give the service or the check a "port"`)
    return undefined
  }
  if (ready.http === undefined) return { kind: 'tcp', ip, port }
  return { kind: 'http', ip, port, path: ready.http, ...(ready.host === undefined ? {} : { host: ready.host }) }
}
