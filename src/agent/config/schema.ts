import * as z from 'zod'
import { balancer } from './schema/balancer.ts'
import { cluster } from './schema/cluster.ts'
import { service } from './schema/service.ts'
import { address, flag, line, listOf, named, text } from './schema/values.ts'

/**
 * The shape of `muster.yaml`. Every key is optional and unknown ones are refused; defaults are filled in after all sources
 * have been merged, in `resolve.ts`. The published JSON Schema and `docs/configuration.md` are made from this.
 */

/** Those that Serf knows, in the order of their numbers. */
export const SYSLOG_FACILITIES = [
  ...(['KERN', 'USER', 'MAIL', 'DAEMON', 'AUTH', 'SYSLOG', 'LPR', 'NEWS', 'UUCP', 'CRON', 'AUTHPRIV', 'FTP'] as const),
  ...(['LOCAL0', 'LOCAL1', 'LOCAL2', 'LOCAL3', 'LOCAL4', 'LOCAL5', 'LOCAL6', 'LOCAL7'] as const),
] as const

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
