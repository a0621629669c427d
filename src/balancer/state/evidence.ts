/** What HAProxy itself says of each server: its checks and its traffic, read from `show stat`. */

/** One server of one backend. Counters begin with the worker, at the last reload. */
export interface HaproxyEvidence {
  /** `web`, `web.unsafe`. */
  readonly backend: string
  /** `slot1`, or the member's name. */
  readonly server: string
  /** `ip:port`; undefined where HAProxy does not say. */
  readonly address: string | undefined
  /** `UP`, `DOWN 1/2`, `MAINT`, `DRAIN`, `NOLB`, `no check`. */
  readonly status: string
  readonly weight: number
  /** Since the last change between UP and DOWN, ms to the second; undefined: never changed. */
  readonly sinceMs: number | undefined
  readonly check: CheckEvidence
  /** Times that it went down, and how long it was, ms to the second. */
  readonly downs: number
  readonly downtimeMs: number
  readonly traffic: TrafficEvidence
}

/** The last health check. */
export interface CheckEvidence {
  /** `L7OK`, `L4CON`, `L7STS`…, see `show stat` in HAProxy's management guide; empty: none yet. */
  readonly status: string
  /** Of HTTP. */
  readonly code: number | undefined
  readonly tookMs: number | undefined
  /** HAProxy's words: `Connection refused`. */
  readonly words: string
  /** Failed checks since the start of the worker. */
  readonly failed: number
}

export interface TrafficEvidence {
  /** Requests at this moment, and waiting for exactly this server. */
  readonly sessions: number
  readonly queued: number
  /** In the last second. */
  readonly perSecond: number
  readonly requests: number
  readonly errors5xx: number
  readonly connectErrors: number
  readonly responseErrors: number
  readonly retries: number
  readonly redispatches: number
  /** Since the last request, ms to the second; undefined: none yet. */
  readonly quietMs: number | undefined
  /** Of the last 1024 requests: until the answer began, and in all, ms. */
  readonly responseMs: number
  readonly totalMs: number
}

const SERVER = '2'

/** Reads servers from `show stat`, by column names, which grow with versions. Lines that do not fit are left out. */
export function parseEvidence(csv: string): HaproxyEvidence[] {
  const [first = '', ...rows] = csv.split('\n').filter(row => row !== '')
  const header = cellsOf(first.replace(/^# /, ''))
  const places = new Map(header.map((name, at) => [name, at]))
  return rows.flatMap(row => {
    const cells = cellsOf(row)
    const cell = (name: string): string => cells[places.get(name) ?? -1] ?? ''
    return cell('type') === SERVER ? [evidenceOf(cell)] : []
  })
}

type Cell = (name: string) => string

function evidenceOf(cell: Cell): HaproxyEvidence {
  return {
    backend: cell('pxname'),
    server: cell('svname'),
    address: cell('addr') === '' ? undefined : cell('addr'),
    status: cell('status'),
    weight: numberIn(cell('weight')),
    sinceMs: secondsIn(cell('lastchg')),
    check: checkOf(cell),
    downs: numberIn(cell('chkdown')),
    downtimeMs: secondsIn(cell('downtime')) ?? 0,
    traffic: trafficOf(cell),
  }
}

/** While a check runs its status begins with `* `. */
function checkOf(cell: Cell): CheckEvidence {
  const [code, tookMs] = [cell('check_code'), cell('check_duration')]
  return {
    status: cell('check_status').replace(/^\* /, ''),
    code: code === '' ? undefined : numberIn(code),
    tookMs: tookMs === '' ? undefined : numberIn(tookMs),
    words: (cell('last_chk') || cell('check_desc')).slice(0, WORDS_MAX),
    failed: numberIn(cell('chkfail')),
  }
}

function trafficOf(cell: Cell): TrafficEvidence {
  return {
    sessions: numberIn(cell('scur')),
    queued: numberIn(cell('qcur')),
    perSecond: numberIn(cell('rate')),
    requests: numberIn(cell('req_tot') || cell('stot')),
    errors5xx: numberIn(cell('hrsp_5xx')),
    connectErrors: numberIn(cell('econ')),
    responseErrors: numberIn(cell('eresp')),
    retries: numberIn(cell('wretr')),
    redispatches: numberIn(cell('wredis')),
    quietMs: secondsIn(cell('lastsess')),
    responseMs: numberIn(cell('rtime')),
    totalMs: numberIn(cell('ttime')),
  }
}

const WORDS_MAX = 256

/** Cells may stand in double quotes, and then hold commas and doubled quotes. */
function cellsOf(row: string): string[] {
  return [...row.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'),
  )
}

function numberIn(text: string): number {
  const value = Number(text)
  return Number.isFinite(value) && value >= 0 ? value : 0
}

/** HAProxy says -1 where nothing has happened yet. */
function secondsIn(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) * 1000 : undefined
}
