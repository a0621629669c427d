import * as z from 'zod'
import { frontend } from './frontend.ts'
import { pool } from './pool.ts'
import { address, count, duration, flag, line, named, poolName, text } from './values.ts'

/** HAProxy and what is before and behind it. */
export const balancer = z
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
    plain_pool: poolName.describe(
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
