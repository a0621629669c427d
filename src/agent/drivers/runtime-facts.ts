import { arch, availableParallelism, platform } from 'node:os'

/** The section `runtime` of `serf info`, as far as this program has such a thing. */
export function runtimeFacts(): Record<string, string> {
  return { os: platform(), arch: arch(), version: process.version, cpu_count: String(availableParallelism()) }
}
