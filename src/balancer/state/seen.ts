import { groupBy } from '../../base/index.ts'
import { serverLines, type Structure } from '../file/config-structure.ts'
import { endpointOf } from '../server.ts'
import type { ServerFigures, ServerState } from './runtime-state.ts'

/** One of HAProxy's servers. */
export interface SeenServer {
  readonly backend: string
  readonly name: string
  readonly state: ServerState
}

const NOBODY: readonly SeenServer[] = []

/** What runs at one moment. */
export class Seen {
  readonly workerPid: number
  readonly servers: ReadonlyMap<string, ServerState>
  /** The same for as long as nothing in the states of the servers has changed; their figures are not in it. */
  readonly states: ReadonlyMap<string, ServerState>
  readonly #config: Structure
  #endpoints: ReadonlyMap<string, readonly SeenServer[]> | undefined
  #names: ReadonlyMap<string, readonly SeenServer[]> | undefined

  constructor(
    workerPid: number,
    states: ReadonlyMap<string, ServerState>,
    config: Structure,
    figures?: ReadonlyMap<string, ServerFigures>,
  ) {
    this.workerPid = workerPid
    this.states = states
    this.servers = figures === undefined ? states : withFigures(states, figures)
    this.#config = config
  }

  /** Those with this `ip:port` that follow no other; the one that counts most is the last. */
  at(endpoint: string): readonly SeenServer[] {
    this.#endpoints ??= groupBy(this.#own().sort(inMaintFirst), ({ state }) => endpointOf(state))
    return this.#endpoints.get(endpoint) ?? NOBODY
  }

  /** Those with this name and address, whatever the port, that follow no other. */
  called(name: string, ip: string): readonly SeenServer[] {
    this.#names ??= groupBy(this.#own(), server => `${server.name} ${server.state.ip}`)
    return this.#names.get(`${name} ${ip}`) ?? NOBODY
  }

  hasBackend(name: string): boolean {
    return this.#config.some(({ title }) => /^(?:backend|listen) (\S+)/.exec(title)?.[1] === name)
  }

  #own(): SeenServer[] {
    const lines = serverLines(this.#config)
    return [...this.servers]
      .filter(([key]) => lines.get(key)?.track === undefined)
      .map(([key, state]) => {
        const slash = key.indexOf('/')
        return { backend: key.slice(0, slash), name: key.slice(slash + 1), state }
      })
  }
}

function withFigures(
  states: ReadonlyMap<string, ServerState>,
  figures: ReadonlyMap<string, ServerFigures>,
): ReadonlyMap<string, ServerState> {
  return new Map([...states].map(([key, state]) => [key, { ...state, ...figures.get(key) }]))
}

/** A free slot still has the address of whoever was there; the one who is there now counts. */
function inMaintFirst(a: SeenServer, b: SeenServer): number {
  return Number(b.state.admin === 'maint') - Number(a.state.admin === 'maint')
}
