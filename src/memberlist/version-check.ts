import type { Member } from './member.ts'
import type { PushNode, Versions } from './messages.ts'

/**
 * Whether two lists can live in one ring: everybody must speak what every alive member understands.
 * Entries without a sound six-byte Vsn are left out (and never adopted): memberlist counts them as version 0, so that one
 * such entry bars every join of the whole ring for good.
 * @returns memberlist's own sentence about the first offender; undefined: compatible
 */
export function incompatibility(remote: readonly PushNode[], local: () => Iterable<Member>): string | undefined {
  const limits: Limits = { pMin: 0, pMax: 255, dMin: 0, dMax: 255 }
  for (const { vsn, state } of remote) if (vsn !== undefined && state === 0) narrow(limits, vsn)
  for (const { vsn, state } of local()) if (state === 'alive') narrow(limits, vsn)
  for (const { name, vsn } of remote) {
    const refused = vsn === undefined ? undefined : refusal(name, vsn, limits)
    if (refused !== undefined) return refused
  }
  for (const { name, vsn } of local()) {
    const refused = refusal(name, vsn, limits)
    if (refused !== undefined) return refused
  }
  return undefined
}

/** What every alive member understands: of the protocol and of the delegate's. */
interface Limits {
  pMin: number
  pMax: number
  dMin: number
  dMax: number
}

function narrow(limits: Limits, vsn: Versions): void {
  limits.pMin = Math.max(limits.pMin, vsn[0])
  limits.pMax = Math.min(limits.pMax, vsn[1])
  limits.dMin = Math.max(limits.dMin, vsn[3])
  limits.dMax = Math.min(limits.dMax, vsn[4])
}

function refusal(name: string, vsn: Versions, { pMin, pMax, dMin, dMax }: Limits): string | undefined {
  const p = vsn[2]
  const d = vsn[5]
  if (p < pMin || p > pMax) return `Node '${name}' protocol version (${p}) is incompatible: [${pMin}, ${pMax}]`
  if (d < dMin || d > dMax) return `Node '${name}' delegate protocol version (${d}) is incompatible: [${dMin}, ${dMax}]`
  return undefined
}

/** memberlist's sanity rule for an alive: 0 < PMin <= PMax, and the spoken version between them. */
export function saneVersions([pMin, pMax, pCur]: Versions): boolean {
  return pMin > 0 && pMax > 0 && pMin <= pMax && pCur >= pMin && pCur <= pMax
}
