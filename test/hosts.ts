/**
 * Several hosts on one machine, with cables that can be cut: a network namespace each, on two bridges, all within one
 * namespace of processes, mounts and network that ends with the test, also when the test is killed.
 *
 * ```
 *   test process ── client ──┐
 *                          host 1 ── data ───┬─ bridge `data` ───┬── data ─── host 2 …
 *                                 └─ gossip ─┴─ bridge `gossip` ─┴─ gossip ─┘
 * ```
 * A host has one address. What goes to or from port 7946 takes the cable `gossip`, anything else the cable `data`, so that
 * either can be cut alone. Clients are in the test's own process and have a cable of their own to host 1.
 *
 * Needs root, or `npm test`, which brings a network that may be changed.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Ground, Space } from './ground.ts'
import { part } from './parts.ts'

const run = promisify(execFile)
const GOSSIP_PORT = 7946
/** A route table, and the preference of the rules that lead to it: any number that the system does not use. */
const GOSSIP_TABLE = 77

export type Cable = 'data' | 'gossip'
export const CABLES: readonly Cable[] = ['data', 'gossip']

export class Hosts implements Ground {
  readonly #n: number
  readonly #space: Space
  readonly #directory = mkdtempSync(join(tmpdir(), 'hosts-'))

  private constructor(n: number, space: Space) {
    this.#n = n
    this.#space = space
  }

  /**
   * @param n 0 to 255, of no other test: host `h` is 10.77.n.h; clients reach host 1 as 10.78.n.1
   * @param hosts their numbers, 1 to 250; with 1 among them
   * @throws when the network of this process may not be changed; nothing is left then
   */
  static async open(n: number, hosts: readonly number[]): Promise<Hosts> {
    const opened = new Hosts(n, await Space.open({ ownNetwork: true }))
    try {
      await opened.#lay(hosts)
    } catch (error) {
      await opened[Symbol.asyncDispose]()
      throw new Error('no network of several hosts; it needs root, or to be run by npm test', { cause: error })
    }
    return opened
  }

  ip(host: number): string {
    return `10.77.${this.#n}.${host}`
  }

  get siteIp(): string {
    return `10.78.${this.#n}.1`
  }

  enter(host: number): readonly string[] {
    return [...this.#space.enter, part('nsenter'), `--net=${this.#netOf(host)}`, '--']
  }

  /** Runs a command on a host. @returns what it printed */
  async exec(host: number, ...command: string[]): Promise<string> {
    const [program, ...argv] = [...this.enter(host), ...command]
    return (await run(program as string, argv)).stdout
  }

  /** Pulls a host's cables out of their bridges; its addresses and routes stay, as with a switch that has died. */
  async cutLink(host: number, cables: readonly Cable[] = CABLES): Promise<void> {
    await this.#onBridge(cables.map(cable => `ip link set ${cable}${host} down`))
  }

  async healLink(host: number, cables: readonly Cable[] = CABLES): Promise<void> {
    await this.#onBridge(cables.map(cable => `ip link set ${cable}${host} up`))
  }

  /** The host hears nothing any more, and is heard. */
  async deafen(host: number, cables: readonly Cable[] = CABLES): Promise<void> {
    await this.#onBridge(cables.map(cable => `${this.#delivery(cable, host, 'off')} fdb_flush`))
  }

  async undeafen(host: number, cables: readonly Cable[] = CABLES): Promise<void> {
    await this.#onBridge(cables.map(cable => this.#delivery(cable, host, 'on')))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#space[Symbol.asyncDispose]()
    // With the last process its network ends and the cable goes, unless connections that it left linger for a while.
    await run(part('ip'), ['link', 'del', this.#clientCable]).catch(() => undefined)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #lay(hosts: readonly number[]): Promise<void> {
    await this.#onBridge([
      'ip link set lo up',
      'echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true', // absent without br_netfilter
      ...CABLES.map(cable => `ip link add ${cable} up type bridge forward_delay 0 mcast_snooping 0`),
      ...hosts.flatMap(host => this.#hostLines(host)),
      ...hosts.map(host => this.#withinHost(host, this.#insideLines(host, hosts))),
    ])
    const pair = ['type', 'veth', 'peer', 'name', 'client', 'netns', String(this.#space.pid)]
    await run(part('ip'), ['link', 'add', this.#clientCable, ...pair])
    await this.#onBridge([
      `ip link set client netns ${this.#netOf(1)}`,
      this.#withinHost(1, [`ip addr add ${this.siteIp}/30 dev client`, 'ip link set client up']),
    ])
    await run(part('ip'), ['addr', 'add', `10.78.${this.#n}.2/30`, 'dev', this.#clientCable])
    await run(part('ip'), ['link', 'set', this.#clientCable, 'up'])
  }

  /** A namespace that a file keeps, and its cables into the bridges. */
  #hostLines(host: number): string[] {
    const net = this.#netOf(host)
    return [
      `: > ${net} && unshare --net=${net} ip link set lo up`,
      ...CABLES.flatMap(cable => [
        `ip link add ${cable}${host} type veth peer name ${cable} address ${macOf(cable, host)} netns ${net}`,
        `ip link set ${cable}${host} master ${cable} up`,
      ]),
    ]
  }

  /** Neighbours are written down: a host that hears nothing does not ask for them in vain, and a healed cable serves at once. */
  #insideLines(host: number, hosts: readonly number[]): string[] {
    const neighbours = hosts.filter(other => other !== host)
    return [
      'echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter', // gossip comes in where the way back would not lead
      'echo 1 > /proc/sys/net/ipv4/tcp_orphan_retries', // connections of the killed do not keep the network for minutes
      ...CABLES.map(cable => `echo 0 > /proc/sys/net/ipv4/conf/${cable}/rp_filter && ip link set ${cable} up`),
      `ip addr add ${this.ip(host)}/24 dev data`,
      `ip route add 10.77.${this.#n}.0/24 dev gossip src ${this.ip(host)} table ${GOSSIP_TABLE}`,
      ...['sport', 'dport'].map(
        port => `ip rule add pref ${GOSSIP_TABLE} ${port} ${GOSSIP_PORT} lookup ${GOSSIP_TABLE}`,
      ),
      ...CABLES.flatMap(cable =>
        neighbours.map(
          other => `ip neigh add ${this.ip(other)} lladdr ${macOf(cable, other)} dev ${cable} nud permanent`,
        ),
      ),
    ]
  }

  #delivery(cable: Cable, host: number, to: 'on' | 'off'): string {
    const ways = ['learning', 'flood', 'bcast_flood', 'mcast_flood'].map(way => `${way} ${to}`)
    return `ip link set ${cable}${host} type bridge_slave ${ways.join(' ')}`
  }

  /** Its end in the test's own network. */
  get #clientCable(): string {
    return `client-${this.#n}`
  }

  #netOf(host: number): string {
    return join(this.#directory, String(host))
  }

  #withinHost(host: number, lines: readonly string[]): string {
    return `nsenter --net=${this.#netOf(host)} -- sh -euc '${lines.join('\n')}'`
  }

  async #onBridge(lines: readonly string[]): Promise<void> {
    await this.#space.exec('sh', '-euc', lines.join('\n'))
  }
}

/** Locally administered, one per cable and host. */
function macOf(cable: Cable, host: number): string {
  return `02:77:00:00:${cable === 'data' ? '00' : '01'}:${host.toString(16).padStart(2, '0')}`
}
