import * as z from 'zod'
import { count, duration, flag, line, mode, port, text, wordPath } from './values.ts'

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

/** Servers that do the same, and how requests are spread over them. */
export const pool = z
  .strictObject({
    port: port.describe('Where plain Serf members of the pool listen. Default 3000.'),
    balance: line
      .regex(/^[a-z_-]+(?:[ (][A-Za-z0-9_.,() -]*)?$/, "takes HAProxy's balance, such as leastconn or roundrobin")
      .describe("HAProxy's `balance`. Default leastconn."),
    mode: mode.describe("`tcp` for what is not HTTP. Default: its frontend's, else http."),
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
