import type { Random } from '../../src/base/index.ts'
import { type Host, newKey, type SoakRing } from './ring.ts'

/** Something that happens to the ring, and how it ends. */
export interface Fault {
  readonly what: string
  /** Resolves when it has happened. */
  readonly begin: () => Promise<void>
  /** Undefined: there is nothing to end. */
  readonly end?: () => Promise<void>
}

/** Long enough for each member to be probed once or twice. */
const LOSS_MS = 20_000

type Draw = (ring: SoakRing, random: Random) => Fault

/** The next one, drawn. */
export function drawFault(ring: SoakRing, random: Random): Fault {
  const draw = FAULTS[random.below(FAULTS.length)] as Draw
  return draw(ring, random)
}

function one(ring: SoakRing, random: Random): Host {
  return ring.hosts[random.below(ring.hosts.length)] as Host
}

const kill: Draw = (ring, random) => {
  const host = one(ring, random)
  return {
    what: `kill ${host.name}`,
    async begin() {
      await ring.signal(host, 'KILL')
      host.condition = 'killed'
    },
    end: () => ring.start(host),
  }
}

/** A host out of order: from `begin` on it has this condition, after `end` it is up again. */
function disorder(
  what: (name: string) => string,
  condition: Host['condition'],
  begin: (ring: SoakRing, host: Host) => Promise<unknown>,
  end: (ring: SoakRing, host: Host) => Promise<unknown>,
): Draw {
  return (ring, random) => {
    const host = one(ring, random)
    return {
      what: what(host.name),
      async begin() {
        await begin(ring, host)
        host.condition = condition
      },
      async end() {
        await end(ring, host)
        host.condition = 'up'
      },
    }
  }
}

const freeze = disorder(
  name => `freeze ${name}`,
  'frozen',
  (ring, host) => ring.signal(host, 'STOP'),
  (ring, host) => ring.signal(host, 'CONT'),
)

const cut = disorder(
  name => `cut ${name}`,
  'cut',
  ({ network }, { number }) => network.cutLink(number),
  ({ network }, { number }) => network.healLink(number),
)

const deafen = disorder(
  name => `cut ${name} one way: it hears nothing`,
  'deaf',
  ({ network }, { number }) => network.deafen(number),
  ({ network }, { number }) => network.undeafen(number),
)

/** A fifth of what one host is sent is lost; it stays a member. */
const lose: Draw = (ring, random) => {
  const host = one(ring, random)
  const rule = ['INPUT', '-i', 'gossip', '-p', 'udp', '-m', 'statistic', '--mode', 'random', '--probability', '0.2']
  return {
    what: `lose a fifth of what ${host.name} is sent`,
    async begin() {
      await ring.network.exec(host.number, 'iptables', '-A', ...rule, '-j', 'DROP')
      await new Promise(done => setTimeout(done, LOSS_MS))
    },
    end: async () => void (await ring.network.exec(host.number, 'iptables', '-D', ...rule, '-j', 'DROP')),
  }
}

const leaveAndReturn: Draw = (ring, random) => {
  const host = one(ring, random)
  return {
    what: `${host.name} leaves`,
    async begin() {
      await ring.ask(host, 'leave')
      host.condition = 'left'
    },
    end: () => ring.start(host),
  }
}

const rotate: Draw = (ring, random) => {
  const host = one(ring, random)
  return {
    what: `rotate the key at ${host.name}`,
    async begin() {
      const [old, next] = [ring.key, newKey()]
      await ring.ask(host, 'keys', '-install', next)
      await ring.ask(host, 'keys', '-use', next)
      await ring.ask(host, 'keys', '-remove', old)
      ring.key = next
    },
  }
}

const retag: Draw = (ring, random) => {
  const host = one(ring, random)
  const value = String(random.below(1_000_000))
  return {
    what: `tag ${host.name} with release=${value}`,
    async begin() {
      await ring.ask(host, 'tags', '-set', `release=${value}`)
      host.tags.set('release', value)
    },
  }
}

const ask: Draw = (ring, random) => {
  const host = one(ring, random)
  return {
    what: `ask everybody from ${host.name}`,
    async begin() {
      const out = await ring.ask(host, 'query', '-format=json', '-timeout=5s', 'anybody')
      const { Acks = [] } = JSON.parse(out) as { Acks?: string[] | null }
      const silent = ring.hosts.filter(({ name }) => !(Acks ?? []).includes(name)).map(({ name }) => name)
      if (silent.length > 0) throw new Error(`the query was not acked by ${silent.join(', ')}`)
    },
  }
}

const FAULTS: readonly Draw[] = [kill, kill, freeze, cut, deafen, lose, leaveAndReturn, rotate, retag, ask]
