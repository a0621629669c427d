import { isIP } from 'node:net'
import * as z from 'zod'
import { type Address, parseHostPort } from '../../base/index.ts'
import { isClusterName } from '../joining/mdns/cluster-name.ts'
import { parseDuration } from './duration.ts'

/**
 * The shape of `muster.yaml`. Every key is optional and unknown ones are refused; defaults are filled in after all sources
 * have been merged, in `resolve.ts`. The published JSON Schema and `docs/configuration.md` are made from this.
 */

/** Those that Serf knows, in the order of their numbers. */
export const SYSLOG_FACILITIES = [
  ...(['KERN', 'USER', 'MAIL', 'DAEMON', 'AUTH', 'SYSLOG', 'LPR', 'NEWS', 'UUCP', 'CRON', 'AUTHPRIV', 'FTP'] as const),
  ...(['LOCAL0', 'LOCAL1', 'LOCAL2', 'LOCAL3', 'LOCAL4', 'LOCAL5', 'LOCAL6', 'LOCAL7'] as const),
] as const

/** Names become tags, files and lines of HAProxy's configuration: nothing that could break out of any of them. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/
const NAME_RULE = 'letters, digits, - and _, starting with a letter or digit, at most 48'

const duration = (defaultText: string, meaning: string) =>
  z
    .string('takes a duration such as 30s, 300ms or 1h10m')
    .transform((text, context) => {
      const ms = parseDuration(text)
      if (ms !== undefined) return ms
      const message = `"${text}" is not a duration; write 30s, 300ms or 1h10m`
      context.issues.push({ code: 'custom', message, input: text })
      return z.NEVER
    })
    .describe(`${meaning} Default ${defaultText}.`)

const address = (defaultPort: number, meaning: string) =>
  z
    .string('takes an address such as 10.0.0.1:7946')
    .transform((text, context) => {
      const found = readAddress(text, defaultPort)
      if (found !== undefined) return found
      const message = `"${text}" is not an address; write 10.0.0.1, 10.0.0.1:${defaultPort} or [::1]:${defaultPort}`
      context.issues.push({ code: 'custom', message, input: text })
      return z.NEVER
    })
    .describe(meaning)

/** An IP address with or without a port, `:port` for every interface; `localhost` is 127.0.0.1. */
export function readAddress(text: string, defaultPort: number): Address | undefined {
  const found = parseHostPort(text.startsWith(':') && !text.startsWith('::') ? `0.0.0.0${text}` : text, defaultPort)
  if (found === undefined) return undefined
  const ip = found.host === 'localhost' ? '127.0.0.1' : found.host
  return isIP(ip) === 0 ? undefined : { ip, port: found.port }
}

const peer = z
  .string('takes an address such as 10.0.0.2 or seed.example.org:7946')
  .refine(text => parseHostPort(text, 7946) !== undefined, 'is not an address; write host, host:port or [ipv6]:port')

const port = z.int('takes a port number, 1 to 65535').min(1, 'a port is 1 to 65535').max(65535, 'a port is 1 to 65535')
const count = (max: number) => z.int('takes a whole number').min(0).max(max)
const text = z.string('takes text')
const line = text.regex(/^[^\0\r\n]*$/, 'must be one line')
const flag = z.boolean('takes true or false')
/** One or several; a single one may stand alone. */
const listOf = <T extends z.ZodType>(item: T) =>
  z.union([item.transform(one => [one]), z.array(item)], { error: issue => `takes one or a list${because(issue)}` })
const named = <T extends z.ZodType>(value: T) => z.record(text.regex(NAME, `a name is ${NAME_RULE}`), value)

/** Why the first branch of a union refused, when it was of the right kind. */
function because(issue: { input?: unknown }): string {
  return typeof issue.input === 'string' ? `; "${issue.input}" is not allowed` : ''
}

const node = z
  .strictObject({
    name: line
      .min(1, 'must not be empty')
      .max(128, 'takes at most 128 characters')
      .describe("Unique in the ring. Default: the host's name."),
    tags: z
      .record(text.min(1), text, 'takes a map of text to text')
      .describe('Gossiped to everybody; 512 bytes in all.'),
  })
  .partial()

const cluster = z
  .strictObject({
    engine: z
      .enum(['muster', 'serf'], 'takes muster or serf')
      .describe(
        'Who gossips: `muster` itself, or the `serf agent` that runs on this host, asked at `rpc`; then the keys about gossip belong into its own configuration. Default muster.',
      ),
    bind: address(7946, 'Where gossip listens, UDP and TCP. Default 0.0.0.0:7946.'),
    advertise: address(7946, 'What others are told, when it differs from `bind`.'),
    interface: text.describe('Bind to the first address of this network interface.'),
    join: listOf(peer).describe(
      'Members to join. Any will do; all are tried for ever, and a missing one ends nothing.',
    ),
    retry_join: listOf(peer).describe("The same as `join`; Serf's other name for it."),
    retry_interval: duration('30s', 'The longest pause between tries to join; at least 1s.'),
    retry_max: count(1e9).describe('Accepted for Serf; Muster never gives up.'),
    replay: flag.describe('Replay old user events when joining. Default false.'),
    discover: text
      .refine(isClusterName, 'cannot be the name of a cluster in DNS; letters, digits and -, at most 57')
      .describe('Find the agents of the cluster with this name on the local network by mDNS, and join them.'),
    mdns: z
      .strictObject({
        interface: text.describe('The network interface. Default: all, or that of `interface`.'),
        disable_ipv4: flag.describe('Not over IPv4. Default false.'),
        disable_ipv6: flag.describe('Not over IPv6. Default false.'),
      })
      .partial()
      .describe('How `discover` asks.'),
    profile: z.enum(['lan', 'wan', 'local'], 'takes lan, wan or local').describe('Timing of gossip. Default lan.'),
    encrypt: text.describe('A base64 key of 16, 24 or 32 bytes; gossip is encrypted with it.'),
    keyring: text.describe(
      "Serf's keyring file: a JSON list of base64 keys, the first one primary. Torn later, it is set aside for its copy, FILE.last-good.",
    ),
    key_grace: duration(
      '0s: off',
      'So long a key that was removed still lets a member in that was away, which is then given the present keys. It costs: until then, whoever has the removed key can read and join, and keeps the present keys it is given.',
    ),
    snapshot: text.describe('Known peers, to rejoin after a restart. Default `<state_dir>/serf.snapshot`.'),
    rejoin_after_leave: flag.describe('Rejoin from the snapshot even after a leave. Default false.'),
    tags_file: text.describe('Keep the tags that are set while running here; excludes `node.tags`.'),
    compress: flag.describe('Compress gossip. Default true.'),
    protocol: z.int('takes 2 to 5').min(2).max(5).describe("Serf's protocol number. Default 5."),
    rpc: z
      .union([z.literal(false), address(7373, '')], 'takes an address such as 127.0.0.1:7373, or false')
      .describe("Serf's RPC; false switches it off. Default 127.0.0.1:7373."),
    rpc_auth: text.describe('The key that RPC clients have to show.'),
    broadcast_timeout: duration('5s', 'How long a leave waits to be gossiped; at least 1s.'),
    reconnect_interval: duration('30s', 'Pause between tries to reach a failed member.'),
    reconnect_timeout: duration('24h', 'A failed member is forgotten after this.'),
    tombstone_timeout: duration('24h', 'A member that left is forgotten after this.'),
    user_event_size_limit: count(9216).describe('Bytes of a user event. Default 512.'),
    query_size_limit: count(65_000).describe('Bytes of a query. Default 1024.'),
    query_response_size_limit: count(65_000).describe("Bytes of a query's answer. Default 1024."),
    disable_name_resolution: flag.describe('No vote on name conflicts. Default false.'),
    skip_leave_on_interrupt: flag.describe('SIGINT stops without leaving. Default false.'),
  })
  .partial()

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGKILL'] as const

const ready = z
  .strictObject({
    tcp: z.union([z.literal(true), port], 'takes true or a port').describe('Ready when the port opens.'),
    http: text.regex(/^\/[^\s]*$/, 'takes a path such as /health').describe('Ready when a GET answers 200 to 399.'),
    port: port.describe("Where to ask. Default: the service's port."),
    host: line.describe('The `Host` header of the HTTP check.'),
    timeout: duration('60s', 'A service that is not ready by then is restarted.'),
  })
  .partial()

const environmentValue = z
  .union([text, z.number(), z.boolean()], 'takes text, a number or true/false')
  .transform(String)

const service = z.strictObject({
  command: z
    .union([line.min(1), z.array(text).min(1)], 'takes a command line, or a list of a program and its arguments')
    .describe("A line goes to `/bin/sh -c 'exec …'`; a list is run as it is."),
  env: z
    .record(text.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name'), environmentValue)
    .optional()
    .describe("Added to the agent's own environment."),
  cwd: line.optional().describe("Where it runs. Default: the agent's directory."),
  user: line.optional().describe("Whom it runs as. Default: the agent's user."),
  pool: text
    .regex(NAME, `a pool's name is ${NAME_RULE}`)
    .optional()
    .describe('The pool it serves; announced while ready. Needs `port`.'),
  port: port.optional().describe('Where it listens.'),
  ip: text
    .refine(value => isIP(value) !== 0, 'is not an IP address')
    .optional()
    .describe('Where to ask whether it is ready. Default: the address of gossip, or 127.0.0.1.'),
  weight: z.int('takes 0 to 256').min(0).max(256).optional().describe('Its share of the traffic. Default 1.'),
  ready: ready.optional().describe('How to know that it serves. Default with a port: the port opens.'),
  stop: z
    .strictObject({
      signal: z.enum(SIGNALS, `takes one of ${SIGNALS.join(', ')}`).describe('Default SIGTERM.'),
      timeout: duration('10s', 'After this it is killed.'),
      drain: duration('30s', 'How long balancers may take to let go of it first.'),
      silent: z
        .enum(['proceed', 'wait'], 'takes proceed or wait')
        .describe(
          'When a balancer gives no answer until then: proceed all the same, or wait until it answers or has failed. Default proceed.',
        ),
    })
    .partial()
    .optional(),
  restart: z
    .strictObject({
      min: duration('100ms', 'The first pause before a restart; doubled each time.'),
      max: duration('30s', 'The longest pause.'),
      stable: duration('10s', 'Running this long resets the pause.'),
      quarantine_after: count(1e6).describe(
        'After so many quick deaths in a row it is left alone; 0: never. Default 10.',
      ),
    })
    .partial()
    .optional(),
  log_max_bytes: z
    .int('takes a number of bytes')
    .min(4096)
    .optional()
    .describe('Output kept for the next agent. Default 16777216.'),
})

/** An address as after HAProxy's `bind`, and its parameters; nothing that would begin another line or word. */
const BIND = /^(?:\*|[^\s:"'\\#]+|\[[0-9a-fA-F:.]+\])?:\d{1,5}(?: [A-Za-z0-9_.:@/,=+ -]{1,400})?$/
const bindList = listOf(line.regex(BIND, 'takes an address such as :80, and parameters such as ssl crt /etc/site.pem'))

const MODE = z.enum(['http', 'tcp'], 'takes http or tcp')
const poolName = text.regex(NAME, `a pool's name is ${NAME_RULE}`)
/** A path that becomes one word of a configuration line. */
const wordPath = line.regex(/^[A-Za-z0-9_.:@/,=+-]{1,255}$/, 'takes a path of letters, digits and _ . : @ / , = + -')

const route = z.strictObject({
  host: listOf(
    line.regex(
      /^(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,20}$/,
      'takes www.example.org or *.example.org',
    ),
  )
    .optional()
    .describe(
      'One or a list; `*.example.org` is every name below example.org. Compared without port and case. Default: any.',
    ),
  path: line
    .regex(/^\/[A-Za-z0-9_.~%+:@/-]{0,250}$/, 'takes the beginning of a path, such as /api')
    .optional()
    .describe('The beginning of the path, in whole segments: `/api` takes /api and /api/x, not /apis. Default: any.'),
  pool: poolName.describe('Where these requests go.'),
})

const tls = z.strictObject({
  bind: bindList.describe('Where it listens with TLS, such as `:443`; one or a list.'),
  certificates: listOf(wordPath).describe(
    'PEM files with certificate, chain and key, or directories of them. The name that a client asks for chooses; the first is for the others.',
  ),
  min_version: z
    .union([z.literal([1.2, 1.3]), z.literal(['1.2', '1.3'])], 'takes 1.2 or 1.3')
    .transform(one => (String(one) === '1.3' ? ('1.3' as const) : ('1.2' as const)))
    .optional()
    .describe('The oldest TLS. Default 1.2.'),
})

const frontend = z.strictObject({
  bind: bindList.optional().describe('Where it listens, such as `:80`; one or a list. Needed unless `tls` has one.'),
  pool: poolName
    .optional()
    .describe(
      'Where its requests go, those that no route takes. Without it those are answered 503; needed without `routes`.',
    ),
  mode: MODE.optional().describe("`tcp` passes bytes on as they are. Default: its pool's mode."),
  routes: z
    .array(route, 'takes a list of maps with host, path and pool')
    .max(500, 'takes at most 500 routes')
    .optional()
    .describe('Which pool takes what; the first that fits counts.'),
  tls: tls.optional().describe('TLS ends here.'),
  redirect_to_https: flag
    .optional()
    .describe('What comes without TLS is answered 308 to the same place with it. Default false.'),
  accept_proxy: flag
    .optional()
    .describe('Connections begin with the PROXY protocol, version 1 or 2; any other is closed. Default false.'),
})

const check = z
  .strictObject({
    tcp: z.literal(true, 'takes true').describe('A server is up when its port opens. The default.'),
    http: text
      .regex(/^\/[^\s"'\\#]*$/, 'takes a path such as /health')
      .describe('A server is up when a GET answers 200 to 399.'),
    host: line.regex(/^[A-Za-z0-9.:[\]-]+$/, 'is not a host name').describe('The `Host` header of the check.'),
    expect: z
      .union([z.int().min(100).max(599), text], 'takes a status such as 200, or 200-299,301')
      .transform(String)
      .refine(isStatusList, 'takes a status such as 200, or 200-299,301')
      .describe('Good answers of an HTTP check: `200`, `200-299`, `200,301-302`. Default 200-399.'),
    port: port.describe("Where checks ask. Default: the server's own port."),
    interval: duration('1s', 'Pause between checks.'),
    timeout: duration('500ms', 'A check that takes longer has failed.'),
    fall: count(100).min(1).describe('So many failures in a row take a server out. Default 2.'),
    rise: count(100).min(1).describe('So many good checks in a row bring it back. Default 1.'),
  })
  .partial()

/** `200`, `200-299`, `200,301-302`. */
function isStatusList(codes: string): boolean {
  return /^[1-5]\d\d(?:-[1-5]\d\d)?(?:,[1-5]\d\d(?:-[1-5]\d\d)?){0,9}$/.test(codes)
}

/** What HAProxy's `retry-on` takes, in 2.6 already. */
const RETRY_ON = [
  ...(['conn-failure', 'empty-response', 'junk-response', 'response-timeout'] as const),
  ...(['401', '403', '404', '408', '425', '500', '501', '502', '503', '504'] as const),
] as const

const retries = z
  .strictObject({
    attempts: count(10).describe('So often a request is tried again. Default 3; 0: never.'),
    on: z
      .array(
        z
          .union([z.int(), text])
          .transform(String)
          .pipe(z.enum(RETRY_ON, `takes ${RETRY_ON.join(', ')}`)),
      )
      .describe(
        'What is repeated besides a connection that cannot be made: `empty-response`, `junk-response`, `response-timeout`, or a status from 401 to 504. Only GET, HEAD and OPTIONS are repeated. Default: those three.',
      ),
    unsafe: flag.describe(
      'POST and all other methods are repeated as well. Only for an application that may be asked twice. Default false.',
    ),
  })
  .partial()

const hold = z
  .strictObject({
    time: duration('10s, or less where `timeouts.server` is short', 'How long; `0s`: not at all.'),
    requests: count(10_000).min(1).describe('How many at a time. Default 1000.'),
  })
  .partial()

const sticky = z.union(
  [
    z.enum(['cookie', 'source']).transform(kind => (kind === 'source' ? { source: true as const } : {})),
    z
      .strictObject({
        cookie: text.regex(/^[A-Za-z0-9_-]{1,64}$/, 'is not a cookie name').describe('Default SRV.'),
        key: text
          .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'takes letters, digits, . _ -')
          .describe("Of the cookie. Default: the pool's name. The same on every balancer."),
        header: text
          .regex(/^[A-Za-z0-9_-]{1,64}$/, 'is not the name of a header')
          .describe('A client is who sends the same value in this header.'),
      })
      .partial(),
  ],
  'takes cookie, source, or a map with cookie and key, or with header',
) as unknown as z.ZodType<{ cookie?: string; key?: string; header?: string; source?: true }>

const pool = z
  .strictObject({
    port: port.describe('Where plain Serf members of the pool listen. Default 3000.'),
    balance: line
      .regex(/^[a-z_-]+(?:[ (][A-Za-z0-9_.,() -]*)?$/, "takes HAProxy's balance, such as leastconn or roundrobin")
      .describe("HAProxy's `balance`. Default leastconn."),
    mode: MODE.describe("`tcp` for what is not HTTP. Default: its frontend's, else http."),
    check,
    sticky: sticky.describe(
      'Keep a client on its server: by a `cookie`, by its address (`source`), or by a header of its requests.',
    ),
    send_proxy: z
      .enum(['v1', 'v2'], 'takes v1 or v2')
      .describe('Tell servers who the client is by the PROXY protocol. Default: not.'),
    server_tls: z
      .strictObject({
        verify: z.enum(['none', 'required'], 'takes none or required').describe('Whether certificates are checked.'),
        ca: wordPath
          .optional()
          .describe('PEM file of those who sign them. Default `@system-ca`, what this host trusts.'),
      })
      .describe('TLS to servers. Default: not.'),
    retries,
    hold: hold.describe('While no server lives, requests wait for the first that comes.'),
    slow_start: duration('0s: off', 'So long a server that comes takes less than its share.'),
    min_servers: count(10_000).describe(
      'A drain or a leave that an operator asks for and that leaves fewer servers is refused. Default 1: never the last one; 0: no such guard.',
    ),
    outliers: flag.describe('Servers that are much slower than the others get less to do. Default true.'),
    timeouts: z
      .strictObject({
        connect: duration('250ms', 'To reach a server.'),
        server: duration('30s, 1h in mode tcp', 'For a server to answer, and between its bytes.'),
        queue: duration('5s', 'How long a request waits for a free server.'),
      })
      .partial(),
    max_connections: count(1e6)
      .min(1)
      .describe('For each server; what is above waits in the queue. Default: no limit.'),
    max_queue: count(1e6).min(1).describe('How many may wait for each server. Default: no limit.'),
    slots: count(10_000)
      .min(1)
      .describe(
        'Numbered servers to begin with (template `slots`). Default 20; when fewer than a quarter are free, one reload makes more.',
      ),
  })
  .partial()

const balancer = z
  .strictObject({
    template: line.describe(
      '`slots`, `named`, or the path of your own Handlebars template; one that goes through `slots` has members come and go without a reload. Default slots.',
    ),
    haproxy: line.describe('The program. Default `haproxy`, looked up in PATH and /usr/sbin.'),
    config: line.describe('The file that is written for HAProxy. Default `<state_dir>/haproxy.cfg`.'),
    stats: z
      .union([z.literal(false), address(1936, '')], 'takes an address such as 127.0.0.1:1936, or false')
      .describe('The statistics page; false switches it off. Default 127.0.0.1:1936.'),
    max_connections: count(1e8).min(1).describe("HAProxy's `maxconn`. Default: what the descriptor limit allows."),
    frontends: named(frontend),
    pools: named(pool.nullable().transform(value => value ?? {})),
    plain_pool: text
      .regex(NAME, `a pool's name is ${NAME_RULE}`)
      .describe(
        'The pool of plain Serf members (`role=backend`) that name none. Default: `web` if there is one, else the first.',
      ),
    old_workers: z
      .strictObject({
        max: count(1000).min(1).describe('At most so many; the oldest ends first. Default 8.'),
        max_age: duration('1h', 'How long one may live; what is still connected is cut then.'),
      })
      .partial()
      .describe('Processes of HAProxy that only wait for the connections from before a reload.'),
    watch: flag.describe('Read `muster.yaml` and the template again when they change, as SIGHUP does. Default false.'),
    drift: z
      .enum(['restore', 'adopt'], 'takes restore or adopt')
      .describe('What somebody else changes in HAProxy or its file is put right, or kept. Default restore.'),
    data: z.record(text, z.json()).describe('Your own values for the template, as `data`.'),
  })
  .partial()

export const FileSchema = z
  .strictObject({
    node: node.describe('This host.'),
    cluster: cluster.describe('Gossip with the other agents; Serf on the wire.'),
    services: named(service).describe('What to run here, by name.'),
    balancer: balancer.describe('Only on balancers: HAProxy, its frontends and pools.'),
    api: z
      .strictObject({
        socket: line.describe('A unix socket, mode 0600, below 97 bytes. Default `<run_dir>/agent.sock`.'),
        listen: address(7374, 'Also on TCP, for reading only. Default: not.'),
      })
      .partial()
      .describe('The HTTP API of this agent.'),
    journal: z
      .strictObject({
        max_bytes: z
          .int('takes a number of bytes')
          .min(1024 * 1024, 'at least 1048576: a segment and its snapshot need room')
          .max(1024 ** 4, 'at most 1 TiB')
          .describe('On disk, in all; the oldest records go. Default 67108864.'),
      })
      .partial()
      .describe('What happened, for `muster history`; in `<state_dir>/journal`.'),
    log: z
      .strictObject({
        level: z
          .string('takes trace, debug, info, warn or error')
          .toLowerCase()
          .pipe(z.enum(['trace', 'debug', 'info', 'warn', 'err', 'error'], 'takes trace, debug, info, warn or error'))
          .describe('Default info.'),
        format: z.enum(['text', 'json'], 'takes text or json').describe('Default text.'),
        syslog: flag.describe('Also to syslog, through the command `logger`. Default false.'),
        syslog_facility: z
          .string('takes a facility such as LOCAL0')
          .toUpperCase()
          .pipe(z.enum(SYSLOG_FACILITIES, 'takes a facility such as DAEMON or LOCAL0 to LOCAL7'))
          .describe('Default LOCAL0.'),
      })
      .partial()
      .describe('Logs, on standard error.'),
    event_handlers: listOf(line.min(1)).describe("Serf's event handlers, `[FILTER=]SCRIPT`."),
    state_dir: line.min(1).describe('What must survive a restart. Default /var/lib/muster.'),
    run_dir: line.min(1).describe('Sockets and locks. Default /run/muster.'),
  })
  .partial()

/** What one source says, checked: durations are milliseconds, addresses are read, nothing is filled in. */
export type FileSettings = z.output<typeof FileSchema>
