import { randomUUID } from 'node:crypto'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import session from 'express-session'
import { openLedger } from '../../src/ledger/index.ts' // as a user: from 'muster/ledger'
import { BoundedSessionStore } from './bounded-session-store.ts'

declare module 'express-session' {
  interface SessionData {
    views: number
  }
}

/** Who this server says it is, and where it writes down what it has done. */
export interface WebappConfig {
  /** Answered as `ip` and in `x-backend-ip`. */
  readonly ip: string
  /** Answered as `host` and in `x-backend-name`. */
  readonly host: string
  readonly tag: string
  /**
   * File to which the id of every executed POST is appended before it is answered, so that a server that is killed the next
   * moment has still left it. Several servers may share a file. Without it, the ids are kept in memory. Either way
   * `GET /.muster/ledger` tells them.
   */
  readonly ledgerPath?: string
}

/** Longest delay that `POST /delay` accepts, in milliseconds. */
const DELAY_MS_MAX = 600_000
/** Ids are printable and short, so that one line of the ledger is one id. */
const ID_PATTERN = /^[\x21-\x7e]{1,128}$/

/**
 * The sample application: `GET /` says who answered and how often this session came by, `POST /` does the same and leaves its
 * id in the ledger, `POST /delay` makes every later request wait.
 */
export function createApp(config: WebappConfig): Express {
  const app = express()
  const file = config.ledgerPath === undefined ? {} : { file: config.ledgerPath }
  const ledger = openLedger({ ...file, idOf: request => idFrom(request as Request) })
  let delayMs = 0
  app.disable('x-powered-by').disable('etag')
  app.use((_request, response, next) => {
    response.set({ 'x-backend-ip': config.ip, 'x-backend-name': config.host, 'cache-control': 'no-store' })
    next()
  })
  app.use(express.json({ limit: '16kb' }), express.urlencoded({ extended: false, limit: '16kb' }), express.text())
  app.post('/delay', (request, response) => {
    const wanted = delayFrom(request)
    if (wanted === undefined) {
      response.status(400).json({ error: `send { "ms": 0 to ${DELAY_MS_MAX} } as JSON, form, text or ?ms=` })
      return
    }
    delayMs = wanted
    response.json({ delayMs })
  })
  app.use((_request, _response, next) => {
    if (delayMs === 0) next()
    else setTimeout(next, delayMs)
  })
  app.use(
    session({
      name: 'NODESESSID',
      secret: 'sample', // it guards a counter; the same on every server, so that a cookie is understood by all
      resave: false,
      saveUninitialized: true,
      store: new BoundedSessionStore(),
    }),
  )
  app.use(ledger.middleware)
  app.get('/', (request, response) => answer(config, request, response))
  app.post('/', (request, response) => {
    if (idFrom(request) === undefined) {
      response.status(400).json({ error: 'a POST needs an id: ?id=, { "id": … } or x-request-id' })
      return
    }
    answer(config, request, response)
  })
  app.use((failure: { status?: number; message: string }, _request: Request, response: Response, _n: NextFunction) => {
    response.status(failure.status ?? 500).json({ error: failure.message })
  })
  return app
}

function answer(config: WebappConfig, request: Request, response: Response): void {
  request.session.views = (request.session.views ?? 0) + 1
  response.json({
    hello: 'world',
    ip: config.ip,
    host: config.host,
    tag: config.tag,
    sessionViews: request.session.views,
    id: idFrom(request) ?? randomUUID(),
  })
}

/** The request's id as its sender gave it; it comes back in the answer, so that a ledger can match the two. */
function idFrom(request: Request): string | undefined {
  const body: unknown = request.body
  const inBody = typeof body === 'object' && body !== null && 'id' in body ? body.id : undefined
  const given = request.query['id'] ?? inBody ?? request.get('x-request-id')
  const id = typeof given === 'number' ? String(given) : given
  return typeof id === 'string' && ID_PATTERN.test(id) ? id : undefined
}

function delayFrom(request: Request): number | undefined {
  const body: unknown = request.body
  const fields = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  const given = request.query['ms'] ?? fields['ms'] ?? fields['delay'] ?? (typeof body === 'string' ? body : undefined)
  const ms = typeof given === 'string' && given.trim() !== '' ? Number(given) : given
  return typeof ms === 'number' && ms >= 0 && ms <= DELAY_MS_MAX ? ms : undefined
}
