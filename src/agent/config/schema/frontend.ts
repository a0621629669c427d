import * as z from 'zod'
import { flag, line, listOf, mode, poolName, wordPath } from './values.ts'

/** An address as after HAProxy's `bind`, and its parameters; nothing that would begin another line or word. */
const BIND = /^(?:\*|[^\s:"'\\#]+|\[[0-9a-fA-F:.]+\])?:\d{1,5}(?: [A-Za-z0-9_.:@/,=+ -]{1,400})?$/
const bindList = listOf(line.regex(BIND, 'takes an address such as :80, and parameters such as ssl crt /etc/site.pem'))

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

/** Where requests come in. */
export const frontend = z.strictObject({
  bind: bindList.optional().describe('Where it listens, such as `:80`; one or a list. Needed unless `tls` has one.'),
  pool: poolName
    .optional()
    .describe(
      'Where its requests go, those that no route takes. Without it those are answered 503; needed without `routes`.',
    ),
  mode: mode.optional().describe("`tcp` passes bytes on as they are. Default: its pool's mode."),
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
