import { isIP, isIPv6 } from 'node:net'

/** An IP address in text and a port. IPv6 without brackets. */
export interface Address {
  readonly ip: string
  readonly port: number
}

/** `10.0.0.1:7946`, `[fe80::1]:7946`. */
export function formatAddress(address: Address): string {
  return isIPv6(address.ip) ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`
}

/**
 * Reads `host`, `host:port`, `[v6]` or `[v6]:port`; a bare IPv6 address is a host without a port.
 * @returns undefined when the text has none of these forms or the port is not 0 to 65535
 */
export function parseHostPort(text: string, defaultPort: number): { host: string; port: number } | undefined {
  if (isIPv6(text)) return { host: text, port: defaultPort }
  const found = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(text)
  if (found === null) return undefined
  const port = found[3] === undefined ? defaultPort : Number(found[3])
  return port > 65535 ? undefined : { host: (found[1] ?? found[2]) as string, port }
}

/**
 * Text of 4 or 16 raw network-order bytes; an IPv4-mapped IPv6 address gives plain IPv4.
 * @returns undefined for any other length
 */
export function ipFromBytes(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return undefined
  if (isMapped(bytes)) return bytes.subarray(12).join('.')
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16))
  const text = groups.join(':')
  const zeros = text.match(/(?:^|:)0(?::0)+(?=:|$)/g)
  if (zeros === null) return text
  const longest = zeros.reduce((a, b) => (b.length > a.length ? b : a))
  return text
    .replace(longest, longest.startsWith(':') || text.startsWith(longest) ? ':' : '')
    .replace(/^:(?!:)/, '::')
    .replace(/(?<!:):$/, '::')
}

/** Four bytes for IPv4, sixteen for IPv6; undefined when `ip` is not an IP address. */
export function ipToBytes(ip: string): Uint8Array | undefined {
  const family = isIP(ip)
  if (family === 4) return Uint8Array.from(ip.split('.'), Number)
  if (family === 0) return undefined
  return ipv6ToBytes(ip.replace(/%.*$/, ''))
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every(byte => byte === 0)
}

function ipv6ToBytes(ip: string): Uint8Array {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(ip)
  if (dotted !== null) {
    const [a, b, c, d] = (dotted[2] as string).split('.').map(Number) as [number, number, number, number]
    return ipv6ToBytes(`${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`)
  }
  const [head = '', tail] = ip.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill('0')
  const bytes = new Uint8Array(16)
  for (const [i, group] of [...before, ...gap, ...after].entries()) {
    const value = Number.parseInt(group, 16)
    bytes[2 * i] = value >> 8
    bytes[2 * i + 1] = value & 0xff
  }
  return bytes
}
