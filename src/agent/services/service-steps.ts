import { isDeepStrictEqual } from 'node:util'
import type { ServiceConfig } from '../config/index.ts'

/** From what is configured to what is configured next. */
export interface Differences {
  readonly fresh: readonly ServiceConfig[]
  readonly changed: readonly ServiceConfig[]
  readonly gone: readonly ServiceConfig[]
}

/** One after the other; what is started in one is ready before the next takes away anything that serves. */
export interface Step {
  /** Drained and ended, by name. */
  readonly end: readonly string[]
  /** Then started. */
  readonly start: readonly ServiceConfig[]
}

/** What runs, as far as the order of steps depends on it. */
export interface Running {
  readonly port: number | undefined
  readonly isReady: boolean
}

/**
 * The order of a change: what is new and has its port to itself; then what is changed, each by itself, first those that serve
 * nobody; then what is gone, and what is new on the port of something else.
 */
export function stepsOf(
  { fresh, changed, gone }: Differences,
  running: (name: string) => Running | undefined,
): readonly Step[] {
  const ports = new Set([...changed, ...gone].map(({ name }) => running(name)?.port))
  const isReady = ({ name }: ServiceConfig) => running(name)?.isReady === true
  const steps = [
    { end: [], start: fresh.filter(one => !ports.has(one.port)) },
    ...[...changed.filter(one => !isReady(one)), ...changed.filter(isReady)].map(one => ({
      end: [one.name],
      start: [one],
    })),
    { end: gone.map(({ name }) => name), start: fresh.filter(one => ports.has(one.port)) },
  ]
  return steps.filter(({ end, start }) => end.length + start.length > 0)
}

/** All names in them, each once. */
export function namesIn(steps: readonly Step[]): string[] {
  return [...new Set(steps.flatMap(({ end, start }) => [...end, ...start.map(({ name }) => name)]))]
}

export function byName(services: readonly ServiceConfig[]): Map<string, ServiceConfig> {
  return new Map(services.map(service => [service.name, service]))
}

/** @param stale names of those that run otherwise than `before` says */
export function differences(
  before: ReadonlyMap<string, ServiceConfig>,
  next: readonly ServiceConfig[],
  stale: ReadonlySet<string> = new Set(),
): Differences {
  const names = new Set(next.map(({ name }) => name))
  return {
    fresh: next.filter(({ name }) => !before.has(name)),
    changed: next.filter(service => stale.has(service.name) || !isSameProcess(before.get(service.name), service)),
    gone: [...before.values()].filter(({ name }) => !names.has(name)),
  }
}

/** Weights are announced, and need no new process. */
function isSameProcess(before: ServiceConfig | undefined, now: ServiceConfig): boolean {
  return before === undefined || isDeepStrictEqual({ ...before, weight: 0 }, { ...now, weight: 0 })
}
