import { isIP } from 'node:net'
import { type Address, formatAddress, messageOf } from '../../base/index.ts'
import { parseHandler } from '../handlers/handler-spec.ts'
import type { ConfigWorld } from './drivers/world.ts'
import { type Findings, isWildcard } from './findings.ts'
import { readKeys } from './keys.ts'
import { resolveBalancer } from './resolve-balancer.ts'
import { resolveServices } from './resolve-services.ts'
import { type FileSettings, SYSLOG_FACILITIES } from './schema.ts'
import { readTagsFile } from './tags-file.ts'
import type { AgentConfig, ClusterConfig, DiscoverySettings, LogLevel, NodeConfig } from './types.ts'

/** A unix socket's path has 108 bytes in the kernel; the rest is for what HAProxy appends while it binds. */
export const SOCKET_PATH_BYTES_MAX = 96
/** The longest name that anything puts into the run directory, `/haproxy/master.sock` and room to grow. */
const RUN_FILE_BYTES = 30

const DEFAULT_BIND: Address = { ip: '0.0.0.0', port: 7946 }
const DEFAULT_RPC: Address = { ip: '127.0.0.1', port: 7373 }

/** Fills in defaults, and checks what no single setting shows. The result counts only if no problem was found. */
export function resolveConfig(
  settings: FileSettings,
  world: ConfigWorld,
  findings: Findings,
): Omit<AgentConfig, 'warnings' | 'files'> {
  const stateDir = absolute(settings.state_dir ?? '/var/lib/muster', world)
  const runDir = absolute(settings.run_dir ?? '/run/muster', world)
  const socketPath = absolute(settings.api?.socket ?? `${runDir}/agent.sock`, world)
  checkSocketPath('api.socket', socketPath, 0, findings)
  checkSocketPath('run_dir', runDir, RUN_FILE_BYTES, findings)
  const cluster = resolveCluster(settings, stateDir, world, findings)
  const balancer = resolveBalancer(settings.balancer, stateDir, findings, path => absolute(path, world))
  return {
    node: nodeOf(settings, world, findings),
    cluster,
    services: resolveServices(settings.services ?? {}, cluster.bind, findings),
    ...(balancer === undefined ? {} : { balancer }),
    handlers: handlersOf(settings, findings),
    api: { socketPath, ...(settings.api?.listen === undefined ? {} : { listen: settings.api.listen }) },
    stateDir,
    runDir,
    ...(settings.journal?.max_bytes === undefined ? {} : { journalMaxBytes: settings.journal.max_bytes }),
    logLevel: logLevelOf(settings.log?.level),
    logFormat: settings.log?.format ?? 'text',
    ...(settings.log?.syslog === true ? { syslogFacility: facilityOf(settings.log.syslog_facility ?? 'LOCAL0') } : {}),
  }
}

function resolveCluster(
  settings: FileSettings,
  stateDir: string,
  world: ConfigWorld,
  findings: Findings,
): ClusterConfig {
  const given = settings.cluster ?? {}
  const bind = bindOf(given.bind, given.interface, world, findings)
  const keyring = readKeys(given, world, findings)
  const atLeastSecond = (path: 'retry_interval' | 'broadcast_timeout', defaultMs: number): number => {
    const ms = given[path] ?? defaultMs
    if (ms < 1000) findings.warn(`cluster.${path} is too low; set to 1s`)
    return Math.max(ms, 1000)
  }
  if ((given.retry_max ?? 0) > 0) findings.warn('cluster.retry_max has no effect: muster tries to join for ever')
  if (given.engine === 'serf') checkEngine(given, findings)
  const tagsPath = tagsPathOf(settings, world)
  if (given.protocol === 2 || given.protocol === 3) findings.problem('cluster.protocol', PROTOCOL_RULE)
  return {
    engine: given.engine ?? 'muster',
    bind,
    ...(given.advertise === undefined ? {} : { advertise: given.advertise }),
    join: given.join ?? [],
    retryJoin: given.retry_join ?? [],
    retryIntervalMs: atLeastSecond('retry_interval', 30_000),
    replay: given.replay ?? false,
    ...discoveryOf(given, world, findings),
    profile: given.profile ?? 'lan',
    ...(keyring === undefined ? {} : { keyring }),
    ...(given.keyring === undefined ? {} : { keyringPath: absolute(given.keyring, world) }),
    keyGraceMs: keyGraceOf(given, findings),
    snapshotPath: absolute(given.snapshot ?? `${stateDir}/serf.snapshot`, world),
    rejoinAfterLeave: given.rejoin_after_leave ?? false,
    ...(tagsPath === undefined ? {} : { tagsPath }),
    compress: given.compress ?? true,
    protocol: given.protocol ?? 5,
    rpc: given.rpc === false ? undefined : (given.rpc ?? DEFAULT_RPC),
    ...(given.rpc_auth === undefined ? {} : { rpcAuth: given.rpc_auth }),
    broadcastTimeoutMs: atLeastSecond('broadcast_timeout', 5000),
    reconnectIntervalMs: given.reconnect_interval ?? 30_000,
    reconnectTimeoutMs: given.reconnect_timeout ?? 24 * 3_600_000,
    tombstoneTimeoutMs: given.tombstone_timeout ?? 24 * 3_600_000,
    userEventBytesMax: given.user_event_size_limit ?? 512,
    queryBytesMax: given.query_size_limit ?? 1024,
    queryResponseBytesMax: given.query_response_size_limit ?? 1024,
    resolveConflicts: !(given.disable_name_resolution ?? false),
    skipLeaveOnInterrupt: given.skip_leave_on_interrupt ?? false,
  }
}

/** Longer than anybody is away whom nobody misses, and short enough not to be for ever. */
const KEY_GRACE_MS_MAX = 30 * 24 * 3_600_000

function keyGraceOf(given: NonNullable<FileSettings['cluster']>, findings: Findings): number {
  const graceMs = given.key_grace ?? 0
  if (graceMs > KEY_GRACE_MS_MAX)
    findings.problem('cluster.key_grace', 'cluster.key_grace: at most 720h; a key that is removed has to end some day')
  if (graceMs > 0 && given.encrypt === undefined && given.keyring === undefined)
    findings.warn('cluster.key_grace has no effect: gossip is not encrypted')
  return graceMs
}

function discoveryOf(
  { discover: cluster, mdns = {}, interface: bound }: NonNullable<FileSettings['cluster']>,
  world: ConfigWorld,
  findings: Findings,
): { discovery?: DiscoverySettings } {
  const name = mdns.interface || bound // Serf's files may say "", which is nothing
  if (mdns.interface && world.addressesOf(mdns.interface) === undefined) {
    const rule = `there is no network interface "${mdns.interface}"`
    findings.problem('cluster.mdns.interface', `cluster.mdns.interface: ${rule}`)
  }
  if (cluster === undefined) {
    if (Object.values(mdns).some(Boolean)) findings.warn('cluster.mdns has no effect without cluster.discover')
    return {}
  }
  const [ipv4, ipv6] = [mdns.disable_ipv4 !== true, mdns.disable_ipv6 !== true]
  if (!ipv4 && !ipv6) findings.warn('cluster.discover finds nobody: mDNS is disabled over IPv4 and IPv6')
  return { discovery: { cluster, ipv4, ipv6, ...(name === undefined ? {} : { interface: name }) } }
}

/** Serf's 2 and 3 differ from 4 by what they lack, and nobody can see from afar why a drain does not end. */
const PROTOCOL_RULE =
  'cluster.protocol: 2 and 3 have no queries, which drains, keys and votes on names need; write 4 or 5'

/** With a real agent as the engine only these say anything. */
const ENGINE_KEYS: ReadonlySet<string> = new Set([
  'engine',
  'rpc',
  'rpc_auth',
  'join',
  'retry_join',
  'retry_interval',
  'replay',
])

function checkEngine(given: NonNullable<FileSettings['cluster']>, findings: Findings): void {
  if (given.rpc === false)
    findings.problem('cluster.rpc', 'cluster.rpc: the engine serf needs it: the address of the Serf agent')
  const idle = Object.keys(given).filter(key => !ENGINE_KEYS.has(key))
  if (idle.length > 0)
    findings.warn(`cluster: ${idle.join(', ')} has no effect with the engine serf; configure the Serf agent itself`)
}

/** As Serf's `-iface`: it picks the address when `bind` is a wildcard, and must have it otherwise. */
function bindOf(bind: Address | undefined, name: string | undefined, world: ConfigWorld, findings: Findings): Address {
  const wanted = bind ?? DEFAULT_BIND
  if (name === undefined) return wanted
  const addresses = world.addressesOf(name)
  if (addresses === undefined) {
    findings.problem('cluster.interface', `cluster.interface: there is no network interface "${name}"`)
    return wanted
  }
  if (!isWildcard(wanted.ip)) {
    if (!addresses.includes(wanted.ip)) {
      findings.problem(
        'cluster.interface',
        `cluster.interface: ${name} does not have the address ${formatAddress(wanted)}`,
      )
    }
    return wanted
  }
  const usable = addresses.filter(ip => !/^(fe80:|169\.254\.)/i.test(ip))
  const ip = usable.find(one => isIP(one) === 4) ?? usable[0]
  if (ip === undefined) findings.problem('cluster.interface', `cluster.interface: ${name} has no address to bind to`)
  return { ip: ip ?? wanted.ip, port: wanted.port }
}

/** Relative paths are relative to the working directory, as Serf has it; files have made theirs absolute already. */
export function absolute(path: string, world: ConfigWorld): string {
  if (path.startsWith('/')) return path
  return `${world.workingDirectory().replace(/\/$/, '')}/${path.replace(/^(?:\.\/)+/, '')}`
}

function nodeOf(settings: FileSettings, world: ConfigWorld, findings: Findings): NodeConfig {
  const name = settings.node?.name
  return { name: name ?? world.hostName(), isNamed: name !== undefined, tags: tagsOf(settings, world, findings) }
}

/** With a real agent as the engine, its own tags file counts. */
function tagsPathOf({ cluster }: FileSettings, world: ConfigWorld): string | undefined {
  if (cluster?.tags_file === undefined || cluster.engine === 'serf') return undefined
  return absolute(cluster.tags_file, world)
}

function tagsOf(settings: FileSettings, world: ConfigWorld, findings: Findings): Record<string, string> {
  const tags = { ...settings.node?.tags }
  if (settings.cluster?.tags_file !== undefined && Object.keys(tags).length > 0) {
    findings.problem(
      'cluster.tags_file',
      'cluster.tags_file: tags are not allowed beside a tags file; put them into it',
    )
  }
  for (const key of Object.keys(tags)) {
    if (key.startsWith('pool.'))
      findings.problem('node.tags', `node.tags: "${key}" is announced by services; write services.<name>.pool`)
  }
  const tagsPath = tagsPathOf(settings, world)
  if (tagsPath !== undefined) Object.assign(tags, readTagsFile(tagsPath, world, findings))
  if (settings.balancer !== undefined && tags['role'] === undefined) tags['role'] = 'balancer'
  return tags
}

function handlersOf(settings: FileSettings, findings: Findings): string[] {
  for (const text of settings.event_handlers ?? []) {
    try {
      parseHandler(text)
    } catch (error) {
      findings.problem('event_handlers', messageOf(error))
    }
  }
  return settings.event_handlers ?? []
}

function checkSocketPath(path: string, value: string, reserve: number, findings: Findings): void {
  const bytes = Buffer.byteLength(value) + reserve
  if (bytes <= SOCKET_PATH_BYTES_MAX) return
  const room = SOCKET_PATH_BYTES_MAX - reserve
  findings.problem(path, `${path}: ${value} is too long for unix sockets; at most ${room} bytes`)
}

/** RFC 5424, section 6.2.1; between FTP and LOCAL0 are four that have no name here. */
function facilityOf(name: (typeof SYSLOG_FACILITIES)[number]): number {
  const at = SYSLOG_FACILITIES.indexOf(name)
  return name.startsWith('LOCAL') ? 16 + Number(name.slice(-1)) : at
}

function logLevelOf(level: string | undefined): LogLevel {
  return level === 'err' ? 'error' : ((level ?? 'info') as LogLevel)
}
