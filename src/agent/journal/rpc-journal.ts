import { type Clock, messageOf } from '../../base/index.ts'
import type { CommandEntry } from '../../journal/index.ts'
import type { RpcBackend } from '../../serf/index.ts'

/** Serf's RPC does not say who asks; whoever reaches it may. */
const ACTOR = 'over RPC'

/**
 * The same, with what changes something on record, and what came of it. Payloads and keys are not: they may be secret, and a
 * journal is kept for long.
 */
export function commandsOnRecord(
  backend: RpcBackend,
  clock: Clock,
  record: (command: Omit<CommandEntry, 'kind'>) => void,
): RpcBackend {
  const recorded = async <T>(
    command: string,
    act: () => Promise<T>,
    outcomeOf: (result: T) => string = () => 'done',
  ): Promise<T> => {
    const startedMs = clock.nowMs()
    const told = (outcome: string) =>
      record({ actor: ACTOR, command, outcome, tookMs: Math.round(clock.nowMs() - startedMs) })
    try {
      const result = await act()
      told(outcomeOf(result))
      return result
    } catch (failure) {
      told(`failed: ${messageOf(failure)}`)
      throw failure
    }
  }
  const keys = backend.keys?.bind(backend)
  return {
    ...backend,
    join: (addresses, options) =>
      recorded(
        `join ${addresses.join(' ')}`,
        () => backend.join(addresses, options),
        ({ contacted }) => `contacted ${contacted} of ${addresses.length}`,
      ),
    leave: () => recorded('leave', () => backend.leave()),
    forceLeave: (name, prune) =>
      recorded(`force-leave ${prune ? '-prune ' : ''}${name}`, () => backend.forceLeave(name, prune)),
    userEvent: (name, payload, coalesce) => recorded(`event ${name}`, () => backend.userEvent(name, payload, coalesce)),
    setTags: tags =>
      recorded(`tags ${Object.entries(tags).map(pair).join(' ')}`.trimEnd(), () => backend.setTags(tags)),
    ...(keys === undefined
      ? {}
      : {
          keys: (operation, key) =>
            operation === 'list'
              ? keys(operation, key)
              : recorded(
                  `keys -${operation}`,
                  () => keys(operation, key),
                  ({ error }) => (error === '' ? 'done' : `failed: ${error}`),
                ),
        }),
  }
}

function pair([key, value]: readonly [string, string]): string {
  return `${key}=${value}`
}
