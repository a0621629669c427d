import { request } from 'node:http'
import { AgentUnreachableError, ApiAnswerError, NotThereError, RefusedError } from '../errors.ts'
import type { HistoryPage, HistoryPools } from '../history.ts'
import type { ApplyReport, GenerationReport, PlanReport } from '../plan.ts'
import type { AgentStatus, DrainList, DrainReport, EventPage, MemberReport } from '../status.ts'
import type { WhyReport } from '../why.ts'

/** What each request answers. */
export interface ApiAnswers {
  'GET /v1/status': AgentStatus
  'GET /v1/members': { readonly members: readonly MemberReport[] }
  'GET /v1/version': { readonly version: string }
  /** Query: `since`, an index, and `wait`, milliseconds. */
  'GET /v1/events': EventPage
  /** Query: `server`, `pool`, `user`, `reason`, `force=1`, and `wait`, milliseconds. */
  'POST /v1/drain': DrainReport
  /** Query: `server`, `pool`, `user`. */
  'DELETE /v1/drain': DrainList
  /** Query: `server`, `pool`, or neither for all. */
  'GET /v1/drains': DrainList
  /** Query: `force=1`, `reason`. */
  'POST /v1/leave-check': { readonly leave: string }
  /** Query: `at`, or `since`, `until`, `kind`, `what`, `limit`, `after`, `before`. */
  'GET /v1/history': HistoryPage | HistoryPools
  /** Query: `what`, a name or an address; without, this node. */
  'GET /v1/why': WhyReport
  'GET /v1/plan': PlanReport
  /** Query: `plan`, its id; `dry-run=1`, `reload=1`, `user`. */
  'POST /v1/apply': ApplyReport
  /** Query: `to`, a generation; `dry-run=1`, `user`. */
  'POST /v1/rollback': ApplyReport
  'GET /v1/generations': { readonly generations: readonly GenerationReport[] }
  'POST /v1/handover': { readonly handover: string }
}

/** An agent with 1000 servers answers with 0.2 MB. */
const ANSWER_BYTES_MAX = 16 << 20
const ANSWER_MS_MAX = 10_000
/** The agent reads heads of up to 8 KiB, and cuts the connection of a longer one. */
const PATH_BYTES_MAX = 7_000

/**
 * Asks a running agent.
 * @throws AgentUnreachableError when nobody answers, RefusedError when a guard refuses, ApiAnswerError for other errors of the agent
 */
export function apiRequest<K extends keyof ApiAnswers>(
  socketPath: string,
  what: K,
  query: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<ApiAnswers[K]> {
  const [method, route] = what.split(' ') as [string, string]
  const path = Object.keys(query).length === 0 ? route : `${route}?${new URLSearchParams(query).toString()}`
  if (path.length > PATH_BYTES_MAX) return Promise.reject(new ApiAnswerError(URI_TOO_LONG, TOO_LONG))
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(new AgentUnreachableError(socketPath, { cause }))
    const ending = signal === undefined ? {} : { signal }
    const sent = request({ socketPath, method, path, agent: false, timeout: ANSWER_MS_MAX, ...ending }, response => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > ANSWER_BYTES_MAX) sent.destroy(new Error('the answer is too large'))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        try {
          const body = JSON.parse(Buffer.concat(chunks).toString()) as { error?: string }
          if (response.statusCode === 200) resolve(body as ApiAnswers[K])
          else reject(refusal(response.statusCode ?? 0, body.error ?? 'the agent refused'))
        } catch (error) {
          fail(error)
        }
      })
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)))
    sent.on('error', fail)
    sent.end()
  })
}

const URI_TOO_LONG = 414
const TOO_LONG = 'what is asked for is too long for the agent; nothing was sent'

function refusal(status: number, sentence: string): Error {
  if (status === 409) return new RefusedError(sentence)
  return status === 404 ? new NotThereError(sentence) : new ApiAnswerError(status, sentence)
}
