/** A number of 32 bits that depends on the text alone (FNV-1a, Fowler, Noll and Vo). Not for what somebody may choose to collide. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
