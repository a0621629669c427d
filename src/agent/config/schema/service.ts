import { isIP } from 'node:net'
import * as z from 'zod'
import { count, duration, line, poolName, port, text } from './values.ts'

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

/** A process of this host. */
export const service = z.strictObject({
  command: z
    .union([line.min(1), z.array(text).min(1)], 'takes a command line, or a list of a program and its arguments')
    .describe("A line goes to `/bin/sh -c 'exec …'`; a list is run as it is."),
  env: z
    .record(text.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name'), environmentValue)
    .optional()
    .describe("Added to the agent's own environment."),
  cwd: line.optional().describe("Where it runs. Default: the agent's directory."),
  user: line.optional().describe("Whom it runs as. Default: the agent's user."),
  pool: poolName.optional().describe('The pool it serves; announced while ready. Needs `port`.'),
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
