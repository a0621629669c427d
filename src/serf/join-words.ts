import { messageOf } from '../base/index.ts'
import type { RpcJoinResult } from './rpc/backend.ts'

/** A join that reached nobody, as Serf's library of errors prints a list; '' when there is nothing to report. */
export function joinErrors({ errors }: RpcJoinResult): string {
  if (errors.length === 0) return ''
  const head = errors.length === 1 ? '1 error occurred:' : `${errors.length} errors occurred:`
  return `${head}\n${errors.map(({ address, error }) => `\t* ${failureWords(address, error)}\n`).join('')}\n`
}

/**
 * `Failed to join 10.0.0.7: dial tcp 10.0.0.7:7946: connect: connection refused`, in Go's words for what Node reports. What has
 * no such words keeps its own.
 */
function failureWords(address: string, error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  const { code, syscall, hostname } = (cause ?? {}) as { code?: string; syscall?: string; hostname?: string }
  if (syscall === 'getaddrinfo') return `Failed to resolve ${address}: lookup ${hostname ?? address}: no such host`
  const [, peer, host, what] = /^((\[[^\]\s]+\]|[^:\s]+):\d+): (.*)$/s.exec(messageOf(error)) ?? []
  if (peer === undefined) return `Failed to ${isUnresolved(error) ? 'resolve' : 'join'} ${address}: ${messageOf(error)}`
  const dialled = syscall === 'connect' ? DIAL_WORDS[code ?? ''] : undefined
  return `Failed to join ${host?.replace(/[[\]]/g, '')}: ${dialled === undefined ? what : `dial tcp ${peer}: ${dialled}`}`
}

const DIAL_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
}

/** memberlist's word on a target that means no address; it was never dialled. */
function isUnresolved(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'MEMBERLIST_TARGET'
}
