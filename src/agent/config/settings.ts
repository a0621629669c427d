/**
 * The settings that have another way in than `muster.yaml`: Serf's flags, Serf's JSON keys and the environment. One table, so
 * that the command line, the reader of Serf's files and the documentation cannot disagree.
 */
export interface Setting {
  /** Where it stands in `muster.yaml`, dotted. */
  readonly path: string
  readonly kind: 'text' | 'number' | 'boolean' | 'list' | 'tags' | 'role' | 'mdns'
  /** Without dashes. */
  readonly flag?: string
  /** The key in Serf's JSON. */
  readonly serf?: string
  /** A placeholder for help. */
  readonly value?: string
  /** The flag and Serf's key say the opposite of the path. */
  readonly inverted?: 'flag'
  readonly help: string
}

export const SETTINGS: readonly Setting[] = [
  {
    path: 'node.name',
    kind: 'text',
    flag: 'node',
    serf: 'node_name',
    value: 'NAME',
    help: "unique name (the host's name)",
  },
  {
    path: 'node.tags',
    kind: 'tags',
    flag: 'tag',
    serf: 'tags',
    value: 'KEY=VALUE',
    help: 'tag of this node; repeatable',
  },
  { path: 'node.tags', kind: 'role', flag: 'role', serf: 'role', value: 'ROLE', help: 'deprecated: -tag role=ROLE' },
  {
    path: 'cluster.engine',
    kind: 'text',
    flag: 'engine',
    value: 'NAME',
    help: 'who gossips: muster, or the serf agent at -rpc-addr (muster)',
  },
  {
    path: 'cluster.bind',
    kind: 'text',
    flag: 'bind',
    serf: 'bind',
    value: 'ADDR',
    help: 'where gossip listens (0.0.0.0:7946)',
  },
  {
    path: 'cluster.advertise',
    kind: 'text',
    flag: 'advertise',
    serf: 'advertise',
    value: 'ADDR',
    help: 'address that others are told',
  },
  {
    path: 'cluster.interface',
    kind: 'text',
    flag: 'iface',
    serf: 'interface',
    value: 'NAME',
    help: 'network interface to bind to',
  },
  {
    path: 'cluster.join',
    kind: 'list',
    flag: 'join',
    serf: 'start_join',
    value: 'ADDR',
    help: 'member to join, tried for ever; repeatable',
  },
  {
    path: 'cluster.retry_join',
    kind: 'list',
    flag: 'retry-join',
    serf: 'retry_join',
    value: 'ADDR',
    help: 'the same; repeatable',
  },
  {
    path: 'cluster.retry_interval',
    kind: 'text',
    flag: 'retry-interval',
    serf: 'retry_interval',
    value: 'DURATION',
    help: 'longest pause between tries to join (30s)',
  },
  {
    path: 'cluster.retry_max',
    kind: 'number',
    flag: 'retry-max',
    serf: 'retry_max_attempts',
    value: 'N',
    help: 'accepted; muster never gives up',
  },
  {
    path: 'cluster.replay',
    kind: 'boolean',
    flag: 'replay',
    serf: 'replay_on_join',
    help: 'replay old user events when joining',
  },
  {
    path: 'cluster.discover',
    kind: 'text',
    flag: 'discover',
    serf: 'discover',
    value: 'CLUSTER',
    help: 'find the agents of this cluster by mDNS, and join them',
  },
  { path: 'cluster.mdns', kind: 'mdns', serf: 'mdns', help: '' },
  {
    path: 'cluster.mdns.interface',
    kind: 'text',
    flag: 'mdns-iface',
    value: 'NAME',
    help: 'network interface for mDNS (all)',
  },
  { path: 'cluster.mdns.disable_ipv4', kind: 'boolean', flag: 'mdns-disable-ipv4', help: 'no mDNS over IPv4' },
  { path: 'cluster.mdns.disable_ipv6', kind: 'boolean', flag: 'mdns-disable-ipv6', help: 'no mDNS over IPv6' },
  {
    path: 'cluster.profile',
    kind: 'text',
    flag: 'profile',
    serf: 'profile',
    value: 'NAME',
    help: 'timing of gossip: lan, wan, local (lan)',
  },
  {
    path: 'cluster.encrypt',
    kind: 'text',
    flag: 'encrypt',
    serf: 'encrypt_key',
    value: 'KEY',
    help: 'base64 key of 16, 24 or 32 bytes',
  },
  {
    path: 'cluster.keyring',
    kind: 'text',
    flag: 'keyring-file',
    serf: 'keyring_file',
    value: 'FILE',
    help: 'keyring file; must exist',
  },
  {
    path: 'cluster.key_grace',
    kind: 'text',
    flag: 'key-grace',
    value: 'DURATION',
    help: 'how long a removed key lets members in that were away (0s)',
  },
  {
    path: 'cluster.snapshot',
    kind: 'text',
    flag: 'snapshot',
    serf: 'snapshot_path',
    value: 'FILE',
    help: 'known peers, to rejoin after a restart',
  },
  {
    path: 'cluster.rejoin_after_leave',
    kind: 'boolean',
    flag: 'rejoin',
    serf: 'rejoin_after_leave',
    help: 'ignore an earlier leave in the snapshot',
  },
  {
    path: 'cluster.tags_file',
    kind: 'text',
    flag: 'tags-file',
    serf: 'tags_file',
    value: 'FILE',
    help: 'keep tags that are set while running',
  },
  {
    path: 'cluster.compress',
    kind: 'boolean',
    flag: 'disable-compression',
    inverted: 'flag',
    help: 'do not compress gossip',
  },
  {
    path: 'cluster.protocol',
    kind: 'number',
    flag: 'protocol',
    serf: 'protocol',
    value: 'N',
    help: "Serf's protocol, 4 or 5 (5)",
  },
  {
    path: 'cluster.rpc',
    kind: 'text',
    flag: 'rpc-addr',
    serf: 'rpc_addr',
    value: 'ADDR',
    help: 'where RPC listens (127.0.0.1:7373); "false": nowhere',
  },
  { path: 'cluster.rpc_auth', kind: 'text', serf: 'rpc_auth', help: 'the key that RPC clients show' },
  {
    path: 'cluster.broadcast_timeout',
    kind: 'text',
    flag: 'broadcast-timeout',
    serf: 'broadcast_timeout',
    value: 'DURATION',
    help: 'how long a leave waits to be gossiped (5s)',
  },
  { path: 'cluster.reconnect_interval', kind: 'text', serf: 'reconnect_interval', help: '' },
  { path: 'cluster.reconnect_timeout', kind: 'text', serf: 'reconnect_timeout', help: '' },
  { path: 'cluster.tombstone_timeout', kind: 'text', serf: 'tombstone_timeout', help: '' },
  { path: 'cluster.user_event_size_limit', kind: 'number', serf: 'user_event_size_limit', help: '' },
  { path: 'cluster.query_size_limit', kind: 'number', serf: 'query_size_limit', help: '' },
  { path: 'cluster.query_response_size_limit', kind: 'number', serf: 'query_response_size_limit', help: '' },
  { path: 'cluster.disable_name_resolution', kind: 'boolean', serf: 'disable_name_resolution', help: '' },
  { path: 'cluster.skip_leave_on_interrupt', kind: 'boolean', serf: 'skip_leave_on_interrupt', help: '' },
  {
    path: 'event_handlers',
    kind: 'list',
    flag: 'event-handler',
    serf: 'event_handlers',
    value: 'SPEC',
    help: '[FILTER=]SCRIPT to run on events; repeatable',
  },
  {
    path: 'log.level',
    kind: 'text',
    flag: 'log-level',
    serf: 'log_level',
    value: 'LEVEL',
    help: 'trace, debug, info, warn, err (info)',
  },
  { path: 'log.format', kind: 'text', flag: 'log-format', value: 'FORMAT', help: 'text or json (text)' },
  { path: 'log.syslog', kind: 'boolean', flag: 'syslog', serf: 'enable_syslog', help: 'log to syslog as well' },
  { path: 'log.syslog_facility', kind: 'text', serf: 'syslog_facility', help: '' },
  { path: 'api.socket', kind: 'text', flag: 'socket', value: 'PATH', help: 'unix socket of the HTTP API' },
  { path: 'api.listen', kind: 'text', flag: 'api-addr', value: 'ADDR', help: 'HTTP API also on TCP (off)' },
  {
    path: 'state_dir',
    kind: 'text',
    flag: 'state-dir',
    value: 'DIR',
    help: 'what survives a restart (/var/lib/muster)',
  },
  { path: 'run_dir', kind: 'text', flag: 'run-dir', value: 'DIR', help: 'sockets and locks (/run/muster)' },
]

/** Keys of Serf's files that are taken without effect, and why. `undefined`: nothing worth saying. */
export const SERF_KEYS_WITHOUT_EFFECT: Readonly<Record<string, string | undefined>> = {
  leave_on_terminate: undefined, // always so
  enable_compression: undefined, // without effect in Serf, too
  disable_coordinates: undefined,
  validate_node_names: undefined,
  statsite_addr: 'metrics are not sent to statsite',
  statsd_addr: 'metrics are not sent to statsd',
}

/** `cluster.bind` → `MUSTER_CLUSTER_BIND`. */
export function variableOf(path: string): string {
  return `MUSTER_${path.toUpperCase().replaceAll('.', '_')}`
}

/**
 * The value at a setting's place, from text. What does not fit is handed on as text, so that the schema complains in words.
 */
export function valueFromText(setting: Setting, texts: readonly string[]): unknown {
  const last = texts.at(-1) ?? ''
  switch (setting.kind) {
    case 'list':
      return [...texts]
    case 'tags':
      return Object.fromEntries(texts.map(splitTag))
    case 'role':
      return { role: last }
    case 'number':
      return /^-?\d{1,15}$/.test(last) ? Number(last) : last
    case 'boolean':
      return booleanFrom(last, setting.inverted === 'flag')
    case 'mdns':
    case 'text':
      return setting.path === 'cluster.rpc' && last === 'false' ? false : last
  }
}

/** The words of Go's `strconv.ParseBool`. */
function booleanFrom(text: string, inverted: boolean): unknown {
  if (/^(1|t|true)$/i.test(text)) return !inverted
  return /^(0|f|false)$/i.test(text) ? inverted : text
}

/** At the first `=`; without one, or without a key, the key stays empty and the schema refuses it. */
function splitTag(text: string): [string, string] {
  const at = text.indexOf('=')
  return at <= 0 ? ['', text] : [text.slice(0, at), text.slice(at + 1)]
}

/** Puts `value` at a dotted path; maps that are there already are kept. */
export function putAt(target: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop() as string
  let place = target
  for (const key of keys) {
    if (!Object.hasOwn(place, key)) place[key] = {}
    place = place[key] as Record<string, unknown>
  }
  const before = place[last]
  place[last] = isRecord(before) && isRecord(value) ? { ...before, ...value } : value
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
