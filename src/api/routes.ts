import { type Log, messageOf } from '../base/index.ts'
import type { ApiBackend } from './status.ts'

export interface Answer {
  readonly status: number
  readonly body: unknown
}

type Route = (backend: ApiBackend) => unknown

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/v1/status': { GET: backend => backend.status() },
  '/v1/members': { GET: async backend => ({ members: await backend.members() }) },
  '/v1/version': { GET: backend => ({ version: backend.version() }) },
  '/v1/handover': {
    POST: async backend => {
      await backend.handover()
      return { handover: 'begun' }
    },
  },
}

/** Answers one request. Never throws: what the backend throws is logged and becomes a 500 with its sentence. */
export async function answer(method: string, url: string, backend: ApiBackend, log: Log): Promise<Answer> {
  const path = url.split('?', 1)[0] ?? ''
  const methods = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined
  if (methods === undefined)
    return failed(404, `there is nothing at this path; there is ${Object.keys(ROUTES).join(', ')}`)
  const route = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (route === undefined) return failed(405, `${path} takes ${Object.keys(methods).join(', ')}`)
  try {
    return { status: 200, body: await route(backend) }
  } catch (error) {
    log.error({ path, error: messageOf(error) }, 'a request to the API failed')
    return failed(500, messageOf(error))
  }
}

function failed(status: number, error: string): Answer {
  return { status, body: { error } }
}
