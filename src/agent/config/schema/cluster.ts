import * as z from 'zod'
import { isClusterName } from '../../joining/mdns/cluster-name.ts'
import { address, count, duration, flag, listOf, peer, text } from './values.ts'

/** Gossip: most keys are Serf's, under Serf's names where it has them. */
export const cluster = z
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
