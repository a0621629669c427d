import { arch, availableParallelism, platform } from 'node:os'

/** Go's names for what Node names otherwise: `serf info` is read by programs. */
const GO_ARCHES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

/** The section `runtime` of `serf info`. We have no goroutines: it is what this process has open or waits for. */
export function runtimeFacts(): Record<string, string> {
  const processors = String(availableParallelism())
  return {
    ...{ os: platform(), arch: GO_ARCHES[arch()] ?? arch(), version: process.version },
    ...{ cpu_count: processors, max_procs: processors },
    goroutines: String(process.getActiveResourcesInfo().length),
  }
}
