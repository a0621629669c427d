import { type AgentStatus, apiRequest } from '../api/index.ts'
import { counted } from '../base/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { EXIT } from './exit.ts'
import { formatOf, print, printJson } from './output.ts'
import { printableLines } from './table.ts'

/** What is wrong with the agent, a sentence each with what to do; exit 1 when there is anything. */
export async function runDoctor(options: ApiOptions): Promise<void> {
  const isJson = formatOf(options) === 'json'
  const findings = findingsOf(await apiRequest(socketOf(options), 'GET /v1/status'))
  if (isJson) printJson({ findings })
  else
    print(findings.length === 0 ? 'Nothing is wrong that the agent knows of' : findings.map(printableLines).join('\n'))
  if (findings.length > 0) process.exitCode = EXIT.failed
}

/** The states of a service that are wrong. */
const STATES: Readonly<Record<string, string>> = { quarantined: 'is quarantined', backoff: 'waits to be started again' }

export function findingsOf({ members, services, balancer, warnings = [] }: AgentStatus): string[] {
  const lost =
    members.failed === 0
      ? []
      : [
          `${counted(members.failed, 'member')} ${members.failed === 1 ? 'has' : 'have'} failed. To see which: muster members -status failed`,
        ]
  const sick = services.flatMap(({ name, state, reason = 'no reason known' }) => {
    const words = Object.hasOwn(STATES, state) ? STATES[state] : undefined
    return words === undefined ? [] : [`service ${name} ${words}: ${reason}. To see why: muster why ${name}`]
  })
  const haproxy =
    balancer === undefined || balancer.haproxy.state === 'ready'
      ? []
      : [`haproxy is ${balancer.haproxy.state}. To see why: muster why haproxy`]
  const empty = (balancer?.pools ?? [])
    .filter(pool => !pool.servers.some(({ state }) => state === 'ready'))
    .map(({ name }) => `pool ${name} has no server that takes requests. To see why: muster why ${name}`)
  return [...warnings, ...haproxy, ...empty, ...sick, ...lost, ...(balancer?.advice ?? [])]
}
