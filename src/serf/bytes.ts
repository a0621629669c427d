export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

/** Of 4 bytes, or of 16 that hold an IPv4 address: the 4; any other as it is. */
export function unmapped(addr: Uint8Array): Uint8Array {
  const mapped =
    addr.length === 16 && addr[10] === 0xff && addr[11] === 0xff && addr.subarray(0, 10).every(b => b === 0)
  return mapped ? addr.subarray(12) : addr
}
