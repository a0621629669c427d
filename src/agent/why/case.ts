/** One thing that a verdict is about: a server with its member and its process, as far as each is known. */
import type { WhySeverity, WhyVerdict } from '../../api/index.ts'
import { age } from '../../base/index.ts'
import type { Code } from './codes.ts'
import type { Facts, MemberFacts, ServerFacts, ServiceFacts } from './facts.ts'

export interface Case {
  readonly facts: Facts
  /** As people call it. */
  readonly name: string
  readonly server?: ServerFacts
  readonly member?: MemberFacts
  readonly service?: ServiceFacts
}

/** Undefined: it has nothing to say of this case. */
export type Rule = (c: Case) => WhyVerdict | undefined

export function verdict(c: Case, code: Code, severity: WhySeverity, sentence: string): WhyVerdict {
  return { code, severity, sentence, about: c.name }
}

/** Servers with their members and services; then services that are in no pool; then members of which there is neither. */
export function casesOf(facts: Facts): Case[] {
  const { servers, members, services } = facts
  const used = new Set<ServiceFacts | MemberFacts>()
  const named = new Map(members.map(member => [member.name, member]))
  const cases = servers.map(server => {
    const member = named.get(server.name) ?? named.get(withoutPort(server))
    const service = services.find(one => one.node === member?.name && one.pool === server.pool && hasPort(one, server))
    if (member !== undefined) used.add(member)
    if (service !== undefined) used.add(service)
    return caseOf(facts, server.name, { server, member, service })
  })
  for (const service of services.filter(one => !used.has(one))) {
    const member = named.get(service.node)
    if (member !== undefined) used.add(member)
    cases.push(caseOf(facts, service.pool === undefined ? service.name : service.node, { member, service }))
  }
  for (const member of members.filter(one => !used.has(one))) cases.push(caseOf(facts, member.name, { member }))
  return cases
}

/** `web-2 is out of pool web for 42 s`, as the beginning of a sentence. */
export function standing({ facts, name, server, service, member }: Case): string {
  if (server === undefined) {
    const pool = service?.pool ?? member?.endpoints[0]?.pool ?? taggedPool(member)
    return pool === undefined ? name : `${name} is not in pool ${pool}`
  }
  const on = server.balancer === facts.node ? '' : ` on ${server.balancer}`
  const pool = `pool ${server.pool}${on}`
  if (server.state === 'ready') return `${name} takes traffic in ${pool}`
  if (server.state === 'entering') return `${name} is not in ${pool} yet`
  if (server.state === 'drain') return `${name} takes no new clients in ${pool}`
  return `${name} is out of ${pool}${server.sinceMs === undefined ? '' : ` for ${age(server.sinceMs)}`}`
}

/** Of a member that serves a pool although nothing of it is ready. */
function taggedPool(member: MemberFacts | undefined): string | undefined {
  const tag = Object.keys(member?.tags ?? {}).find(key => key.startsWith('pool.'))
  return tag?.slice('pool.'.length)
}

/** Whether requests get to it. */
export function isServing({ server }: Case): boolean {
  return server?.state === 'ready' && !/^(MAINT|DRAIN|DOWN)/.test(server.status ?? '')
}

/** A member with several servers in a pool has them as `member:port`. */
function withoutPort({ name, address }: ServerFacts): string {
  const port = address.slice(address.lastIndexOf(':'))
  return name.endsWith(port) ? name.slice(0, -port.length) : name
}

function hasPort(service: ServiceFacts, server: ServerFacts): boolean {
  return service.port === undefined || server.address.endsWith(`:${service.port}`)
}

function caseOf(
  facts: Facts,
  name: string,
  {
    server,
    member,
    service,
  }: { server?: ServerFacts | undefined; member?: MemberFacts | undefined; service?: ServiceFacts | undefined },
): Case {
  return {
    ...{ facts, name },
    ...(server === undefined ? {} : { server }),
    ...(member === undefined ? {} : { member }),
    ...(service === undefined ? {} : { service }),
  }
}
