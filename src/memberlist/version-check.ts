import type { Member } from './member.ts'
import type { PushNode, Versions } from './messages.ts'

interface Versioned {
  readonly name: string
  readonly vsn: Versions
  readonly alive: boolean
}

/**
 * Whether two lists can live in one ring: everybody must speak what every alive member understands.
 * Entries without a sound six-byte Vsn are left out (and never adopted): memberlist counts them as version 0, so that one
 * such entry bars every join of the whole ring for good.
 * @returns memberlist's own sentence about the first offender; undefined: compatible
 */
export function incompatibility(remote: readonly PushNode[], local: Iterable<Member>): string | undefined {
  const all: Versioned[] = []
  for (const { name, vsn, state } of remote) if (vsn !== undefined) all.push({ name, vsn, alive: state === 0 })
  for (const { name, vsn, state } of local) all.push({ name, vsn, alive: state === 'alive' })
  const alive = all.filter(entry => entry.alive)
  const pMin = alive.reduce((max, { vsn }) => Math.max(max, vsn[0]), 0)
  const pMax = alive.reduce((min, { vsn }) => Math.min(min, vsn[1]), 255)
  const dMin = alive.reduce((max, { vsn }) => Math.max(max, vsn[3]), 0)
  const dMax = alive.reduce((min, { vsn }) => Math.min(min, vsn[4]), 255)
  for (const { name, vsn } of all) {
    const [, , p, , , d] = vsn
    if (p < pMin || p > pMax) return `Node '${name}' protocol version (${p}) is incompatible: [${pMin}, ${pMax}]`
    if (d < dMin || d > dMax)
      return `Node '${name}' delegate protocol version (${d}) is incompatible: [${dMin}, ${dMax}]`
  }
  return undefined
}

/** memberlist's sanity rule for an alive: 0 < PMin <= PMax, and the spoken version between them. */
export function saneVersions([pMin, pMax, pCur]: Versions): boolean {
  return pMin > 0 && pMax > 0 && pMin <= pMax && pCur >= pMin && pCur <= pMax
}
