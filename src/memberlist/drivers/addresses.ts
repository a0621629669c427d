import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Address, ipFromBytes, ipToBytes, parseHostPort } from '../../base/index.ts'
import { NoAdvertiseAddressError, TargetError } from './errors.ts'

const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/

/**
 * What others are told: the given address; else the bound one; else, bound to every address, a private one of this host.
 * IPv4 always has four bytes: peers take its 16-byte form for a different address.
 * @throws NoAdvertiseAddressError
 */
export function advertisedAddress(bind: Address, advertise: Address | undefined, boundPort: number) {
  const isWildcard = bind.ip === '0.0.0.0' || bind.ip === '::'
  const ip = advertise?.ip ?? (isWildcard ? privateAddress() : bind.ip)
  const port = advertise === undefined || advertise.port === 0 ? boundPort : advertise.port
  const raw = ip === undefined ? undefined : ipToBytes(ip)
  const addr = raw === undefined ? undefined : ipToBytes(ipFromBytes(raw) ?? '')
  if (addr === undefined) {
    throw new NoAdvertiseAddressError('this host has no private IPv4 address to tell others; set the advertise address')
  }
  return { addr, port }
}

/** Every address that a join target may mean: `[name/]host[:port]`. @throws TargetError when it means none */
export async function resolveTarget(target: string, defaultPort: number): Promise<{ node?: string; at: Address[] }> {
  const slash = target.indexOf('/')
  if (slash === 0) throw new TargetError('empty node name provided')
  const node = slash > 0 ? { node: target.slice(0, slash) } : {}
  const parsed = parseHostPort(target.slice(slash + 1), defaultPort)
  if (parsed === undefined) throw new TargetError(`'${target}' is not an address: host, host:port or name/host:port`)
  const { host, port } = parsed
  if (isIP(host) !== 0) return { ...node, at: [{ ip: host, port }] }
  try {
    const found = await lookup(host, { all: true })
    return { ...node, at: found.map(({ address }) => ({ ip: address, port })) }
  } catch (cause) {
    throw new TargetError(`cannot resolve ${host}`, { cause })
  }
}

function privateAddress(): string | undefined {
  const own = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const ipv4 = own.filter(({ family, internal }) => family === 'IPv4' && !internal)
  return ipv4.find(({ address }) => PRIVATE.test(address))?.address
}
