import { type Log, messageOf, MusterError } from '../base/index.ts'
import { NotThereError, RefusedError } from './errors.ts'
import { historyAskOf } from './history.ts'
import type { ApplyQuery } from './plan.ts'
import { narrowedBy, QueryError, reasonIn, textIn, whatIn, wholeNumber } from './query.ts'
import type { ApiBackend } from './status.ts'

export interface Answer {
  readonly status: number
  readonly body: unknown
}

type Route = (backend: ApiBackend, query: URLSearchParams) => unknown

const WAIT_MS_MAX = 30_000
/** Nobody waits so long for a server to be empty; it is told to every balancer as a date, which has its bounds. */
const DRAIN_WAIT_MS_MAX = 30 * 24 * 3_600_000

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/v1/status': { GET: backend => backend.status() },
  '/v1/members': { GET: async backend => ({ members: await backend.members() }) },
  '/v1/version': { GET: backend => ({ version: backend.version() }) },
  '/v1/events': {
    GET: (backend, query) => {
      const since = query.get('since')
      return backend.events(
        since === null ? undefined : wholeNumber('since', since),
        Math.min(wholeNumber('wait', query.get('wait') ?? '0'), WAIT_MS_MAX),
      )
    },
  },
  '/v1/drain': {
    POST: (backend, query) =>
      backend.drain({ ...targetIn(query), ...forceIn(query), ...textIn(query, 'user'), ...waitIn(query) }),
    DELETE: (backend, query) => backend.undrain({ ...targetIn(query), ...textIn(query, 'user') }),
  },
  '/v1/drains': {
    GET: (backend, query) => backend.drains(query.get('server') === null ? undefined : targetIn(query)),
  },
  '/v1/leave-check': {
    POST: async (backend, query) => {
      await backend.mayLeave(forceIn(query))
      return { leave: 'nothing speaks against it' }
    },
  },
  '/v1/history': { GET: (backend, query) => backend.history(historyAskOf(query)) },
  '/v1/why': { GET: (backend, query) => backend.why(whatIn(query)) },
  '/v1/plan': { GET: backend => backend.configuring.plan() },
  '/v1/apply': { POST: (backend, query) => backend.configuring.apply(applyIn(query)) },
  '/v1/rollback': {
    POST: (backend, query) => {
      const to = query.get('to')
      return backend.configuring.rollback({ ...applyIn(query), ...(to === null ? {} : { to: wholeNumber('to', to) }) })
    },
  },
  '/v1/generations': { GET: backend => ({ generations: backend.configuring.generations() }) },
  '/v1/handover': {
    POST: async backend => {
      await backend.handover()
      return { handover: 'begun' }
    },
  },
}

/**
 * Answers one request. Never throws: what a guard refuses is a 409, what does not exist a 404, whatever else the backend throws is logged and
 * becomes a 500, each with its sentence.
 * @param backend undefined: the agent is starting
 */
export async function answer(method: string, url: string, backend: ApiBackend | undefined, log: Log): Promise<Answer> {
  const [path = '', query = ''] = url.split('?', 2)
  const methods = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined
  if (methods === undefined)
    return failed(404, `there is nothing at this path; there is ${Object.keys(ROUTES).join(', ')}`)
  const route = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (route === undefined) return failed(405, `${path} takes ${Object.keys(methods).join(', ')}`)
  if (backend === undefined) return failed(503, 'the agent is starting; ask again in a moment')
  try {
    return { status: 200, body: await route(backend, new URLSearchParams(query)) }
  } catch (error) {
    if (error instanceof QueryError) return failed(400, error.message)
    if (error instanceof RefusedError) return failed(409, error.message)
    if (error instanceof NotThereError) return failed(404, error.message)
    if (error instanceof MusterError && ANSWERS.has(error.code)) return failed(422, error.message)
    log.error({ path, error: messageOf(error) }, 'a request to the API failed')
    return failed(500, messageOf(error))
  }
}

function targetIn(query: URLSearchParams): { readonly server: string; readonly pool?: string } {
  const server = query.get('server')
  if (server === null || server === '') throw new QueryError('server: which one?')
  return { server, ...narrowedBy(query, 'pool') }
}

function forceIn(query: URLSearchParams): { readonly force: boolean; readonly reason?: string } {
  return { force: query.get('force') === '1', ...reasonIn(query) }
}

/** What is wrong with what was asked for, and no failure of the agent's. */
const ANSWERS: ReadonlySet<string> = new Set([
  'CONFIG_INVALID',
  'BALANCER_CONFIG',
  'BALANCER_TEMPLATE',
  'BALANCER_CONFIG_REFUSED',
  'BALANCER_BIND',
  'BALANCER_PLAN_STALE',
  'BALANCER_RELOAD_FAILED',
  'AGENT_NO_GENERATION',
  'AGENT_NOT_CONFIGURABLE',
])

function applyIn(query: URLSearchParams): ApplyQuery {
  const reload = query.get('reload') === '1' ? { reload: true } : {}
  return { dryRun: query.get('dry-run') === '1', ...reload, ...textIn(query, 'user'), ...narrowedBy(query, 'plan') }
}

function waitIn(query: URLSearchParams): { readonly waitMs?: number } {
  const wait = query.get('wait')
  if (wait === null) return {}
  const waitMs = wholeNumber('wait', wait)
  if (waitMs > DRAIN_WAIT_MS_MAX) throw new QueryError(`wait: at most ${DRAIN_WAIT_MS_MAX} ms, which is 30 days`)
  return { waitMs }
}

function failed(status: number, error: string): Answer {
  return { status, body: { error } }
}
