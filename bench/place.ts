/** Where the hosts of a chain are, numbered from 1. */
import type { Hosts } from '../test/hosts.ts'

export interface Place {
  ip(host: number): string
  /** The first words of a command that runs there. */
  enter(host: number): readonly string[]
}

/** Loopback addresses `net`.x. @param before as many addresses are somebody else's */
export function onLoopback(net: string, before = 0): Place {
  return { ip: host => `${net}.${before + host}`, enter: () => [] }
}

/** Hosts whose cables can be cut. @param before as many of them are somebody else's */
export function onHosts(hosts: Hosts, before = 0): Place {
  return { ip: host => hosts.ip(before + host), enter: host => hosts.enter(before + host) }
}
