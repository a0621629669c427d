import * as z from 'zod'
import { parseDuration } from '../../agent/config/duration.ts'

/** The shape of a scenario file, and of the flags that say the same. Defaults are those of the simulator's `USUAL`. */

/** Views take memory as the square of it. */
const MEMBERS_MAX = 10_000
const PER_MINUTE_MAX = 6000
const LISTED_MAX = 100

const duration = z
  .union([z.string(), z.literal(0)], 'takes a duration such as 30s, 300ms or 200us')
  .transform((text, context) => {
    const ms = parseDuration(String(text))
    if (ms !== undefined) return ms
    context.issues.push({
      code: 'custom',
      message: `"${text}" is not a duration; write 30s, 300ms or 200us`,
      input: text,
    })
    return z.NEVER
  })
/** How often something is done. Without a pause virtual time would stand still, and the run would never end. */
const interval = duration.refine(ms => ms >= 1, 'takes 1ms or more')
const share = z.number('takes a share, 0 to 1').min(0, 'a share is 0 to 1').max(1, 'a share is 0 to 1')
const count = (min: number, max: number) => {
  const rule = `takes a whole number from ${min} to ${max}`
  return z.int(rule).min(min, rule).max(max, rule)
}
const perMinute = z
  .number('takes a number per minute')
  .min(0, 'takes a number per minute')
  .max(PER_MINUTE_MAX, `takes at most ${PER_MINUTE_MAX} per minute`)
const flag = z.boolean('takes true or false')
const names = z
  .array(
    z.string().regex(/^m[1-9]\d{0,4}$/, 'members are called m1, m2, …'),
    'takes a list of members such as [m1, m2]',
  )
  .min(1, 'names at least one member')
  .max(MEMBERS_MAX)

const partition = z
  .strictObject({
    at: duration.default(0).describe('When it begins; default 0s.'),
    for: duration.describe('How long it lasts.'),
    share: share.optional().describe('The share of members that is cut off, drawn at random; default 0.5.'),
    members: names.optional().describe('Or these.'),
    one_way: flag.default(false).describe('What they send is lost, and what the others send arrives.'),
  })
  .refine(one => one.share === undefined || one.members === undefined, 'takes share or members, not both')

const slow = z.strictObject({
  members: z
    .union([count(1, MEMBERS_MAX), names], 'takes a number or a list such as [m1, m2]')
    .describe('How many, or who.'),
  at: duration.default(0).describe('When they become slow; default 0s.'),
  for: duration.describe('How long each time: what they get and send waits, and their timers run.'),
  pause: duration.optional().describe('How long they are well before the next time; without it they are slow once.'),
  until: duration.optional().describe('When the last time ends; default: the end of the run.'),
})

const timing = z
  .strictObject({
    probe_interval: interval,
    probe_timeout: duration,
    suspicion_mult: count(1, 100),
    suspicion_max_timeout_mult: count(1, 100),
    indirect_checks: count(0, 100),
    gossip_interval: interval,
    gossip_nodes: count(1, 100),
    retransmit_mult: count(1, 100),
    push_pull_interval: interval,
  })
  .partial()

export const ScenarioSchema = z
  .strictObject({
    members: count(2, MEMBERS_MAX).describe('How many; m1, m2 and so on.'),
    core: z.enum(['memberlist', 'serf'], 'takes memberlist or serf'),
    formed: flag.describe('True: all know all at the start; false: all join m1 within two seconds.'),
    duration: duration.refine(ms => ms >= 1000 && ms <= 86_400_000, 'takes 1s to 24h').describe('In virtual time.'),
    loss: share.describe('The share of packets that is lost.'),
    delay: z
      .union([duration.transform(ms => [ms, ms] as const), z.tuple([duration, duration])], 'takes one or two durations')
      .refine(([min, max]) => min <= max, 'takes the shorter one first')
      .describe('One way; one duration, or the shortest and the longest.'),
    partitions: z.array(partition, 'takes a list').max(LISTED_MAX),
    slow: z.array(slow, 'takes a list').max(LISTED_MAX),
    churn: z
      .strictObject({ join: perMinute, leave: perMinute, crash: perMinute }, 'takes join, leave and crash')
      .partial(),
    events: perMinute.describe('User events; with core: serf.'),
    lifeguard: z
      .union(
        [flag, z.strictObject({ probe: flag, suspicion: flag, buddy: flag }).partial()],
        'takes true, false, or which of probe, suspicion and buddy',
      )
      .describe('Off: plain SWIM.'),
    timing,
    seeds: count(1, 100_000).describe('How many runs, each from a seed of its own.'),
    from: count(0, 2 ** 32 - 1).describe('The first seed; default 1.'),
  })
  .partial()
  .superRefine((scenario, context) => {
    if ((scenario.events ?? 0) > 0 && scenario.core !== 'serf')
      context.addIssue({ code: 'custom', path: ['events'], message: 'user events need core: serf' })
  })

export type ScenarioSettings = z.output<typeof ScenarioSchema>
