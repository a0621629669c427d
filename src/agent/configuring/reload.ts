import type { AgentConfig } from '../config/index.ts'

type Tags = Readonly<Record<string, string>>

/**
 * Own tags after a reload: what the configuration has changed since it was last read changes, and what was set at run time
 * stays. (Serf sets the tags of the files, and with that forgets those of `serf tags`.)
 */
export function tagsAfterReload(own: Tags, before: Tags, next: Tags): Record<string, string> {
  const tags = { ...own }
  for (const key of new Set([...Object.keys(before), ...Object.keys(next)])) {
    const value = next[key]
    if (before[key] === value) continue
    if (value === undefined) delete tags[key]
    else tags[key] = value
  }
  return tags
}

/**
 * The same, but for the role where a balancer that is taken out of the configuration, or put into it, waits for a restart: while
 * HAProxy serves on, drains have to find its node, and no node is asked that has none.
 */
export function roleKept(tags: Tags, own: Tags): Record<string, string> {
  const { role: _next, ...others } = tags
  return own['role'] === undefined ? others : { ...others, role: own['role'] }
}

/** Keys of `muster.yaml` in which the two differ although a reload does not change them. */
export function heldBack(running: AgentConfig, next: AgentConfig): string[] {
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b)
  const held: readonly (readonly [string, unknown, unknown])[] = [
    ['node.name', running.node.isNamed && running.node.name, next.node.isNamed && next.node.name],
    ['cluster', running.cluster, next.cluster],
    ['balancer', running.balancer === undefined, next.balancer === undefined],
    ['balancer.haproxy', running.balancer?.haproxy, next.balancer?.haproxy],
    ['balancer.config', running.balancer?.configPath, next.balancer?.configPath],
    ['api', running.api, next.api],
    ['state_dir', running.stateDir, next.stateDir],
    ['run_dir', running.runDir, next.runDir],
    ['journal', running.journalMaxBytes, next.journalMaxBytes],
    ['log.format', running.logFormat, next.logFormat],
    ['log.syslog', running.syslogFacility, next.syslogFacility],
  ]
  return held.filter(([, a, b]) => differs(a, b)).map(([key]) => key)
}
