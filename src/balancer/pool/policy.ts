import type { Liveness } from '../server.ts'

/** What a server is to be: `entering` is in place and out of traffic until it has proved itself. */
export type Stance = 'ready' | 'entering' | 'drain' | 'maint'

/** What is known of one endpoint from the cluster, from HAProxy and from earlier decisions. */
export interface Situation {
  readonly state: 'ready' | 'draining' | 'plain'
  /** Why it is drained, where it is not its member that drains it. */
  readonly drainReason?: string | undefined
  /** Enters by the agent's probe; a plain one that does not is let in by HAProxy's first good check. */
  readonly gated: boolean
  /** `unexplained`: found in HAProxy, or vanished, without a word of anybody why. */
  readonly liveness: Liveness | 'unexplained'
  /** When `liveness` became so, ms of the clock. */
  readonly sinceMs: number
  /** The agent's own probe succeeded, or HAProxy had it in traffic, since it came in. */
  readonly proven: boolean
  /** Another alive member has the same address and port. */
  readonly claimedBy: string | undefined
  /** Since when HAProxy's checks fail; undefined while they pass or are unknown. */
  readonly downSinceMs: number | undefined
  /** Already taken out for failed checks, by an earlier decision. */
  readonly shelved: boolean
  /** Requests and sessions on it; undefined when HAProxy cannot be asked. */
  readonly sessions: number | undefined
  /** Other servers of the pool that take traffic now. */
  readonly othersServing: number
  /** It takes traffic now. */
  readonly serving: boolean
  /** Its member has another endpoint in the pool by now, which does not take traffic yet. */
  readonly successorComes: boolean
  /**
   * Since when the ring has accounted for at least half of what was found in HAProxy at the start, ms; undefined before: it may
   * be an empty half of the ring. Below every time for a server that this agent has heard of.
   */
  readonly ringKnownSinceMs: number | undefined
  /** Since when it drains to leave, ms; undefined before. */
  readonly drainingSinceMs: number | undefined
  /** It came and went too often: held out until then, ms; undefined: no such thing, or too many are held already. */
  readonly heldUntilMs: number | undefined
}

export interface Decision {
  readonly stance: Stance
  readonly reason: string
  /** The endpoint is forgotten and its slot free. */
  readonly release: boolean
  /** When to look again although nothing happened, ms of the clock. */
  readonly lookAtMs?: number
  readonly shelve?: boolean
  /** It drains to go: when nothing is left on it, it is released. */
  readonly leaves?: boolean
  /** Out of traffic because it comes and goes. */
  readonly held?: boolean
}

export interface Era {
  readonly nowMs: number
  /** First successful join; undefined before. */
  readonly joinedAtMs: number | undefined
  readonly drainTimeoutMs: number
}

/** How long checks must fail, or an unexplained server stay unclaimed, before it is taken out. */
export const PATIENCE_MS = 60_000
/** How long a member's new address may take to prove itself: probes follow one another within 1 s, reloads too. */
const HANDOVER_MS = 5_000
const DRAIN_LOOK_MS = 100

/** Left is not failed: only what is final takes a server out; a rumour leaves it to HAProxy's checks. Pure. */
export function decide(s: Situation, era: Era): Decision {
  if (s.liveness !== 'alive' && s.claimedBy !== undefined) return out(`${s.claimedBy} has its address now`)
  if (s.liveness === 'withdrawn') return withdrawn(s, era)
  if (s.liveness === 'reaped') return out('its member was reaped')
  if (s.liveness === 'left') return leaving(s, era, 'its member left')
  if (s.liveness === 'unexplained') return unexplained(s, era)
  if (s.liveness === 'failed') return failed(s, era)
  return alive(s, era)
}

/** A port that changes is taken back and named anew in one breath: the last server of a pool is kept until the new one serves. */
function withdrawn(s: Situation, era: Era): Decision {
  const dueMs = s.sinceMs + HANDOVER_MS
  if (!s.serving || !s.successorComes || s.othersServing > 0 || era.nowMs >= dueMs) return out('its member withdrew it')
  return { ...stay('ready', 'its member has moved, and its new address does not serve yet'), lookAtMs: dueMs }
}

/** As a drain: bound clients stay, checks go on, and in no template does it cost a reload. */
function held(untilMs: number, era: Era): Decision {
  const seconds = Math.ceil((untilMs - era.nowMs) / 1_000)
  const reason = `it came and went again and again; held out for ${seconds} s more`
  return { ...stay('drain', reason), lookAtMs: untilMs, held: true }
}

function alive(s: Situation, era: Era): Decision {
  if (s.state === 'draining') return stay('drain', s.drainReason ?? 'its member drains it')
  const known = s.state === 'plain' ? 'alive' : 'announced ready'
  if (!s.proven && s.gated) return stay('entering', `${known}, waits for the first good probe`)
  if (s.heldUntilMs !== undefined && s.othersServing > 0) return held(s.heldUntilMs, era)
  if (s.state === 'ready') return stay('ready', known)
  return stay('ready', s.proven ? 'alive, under checks' : 'alive, waits for its first good check')
}

function failed(s: Situation, era: Era): Decision {
  if (s.shelved)
    return { stance: 'maint', reason: 'its member failed and its checks failed for 60 s', release: false, shelve: true }
  const held: Decision = s.state === 'draining' ? stay('drain', 'its member failed while it drained') : keepFailed(s)
  if (s.downSinceMs === undefined) return held
  const dueMs = s.downSinceMs + PATIENCE_MS
  if (era.nowMs < dueMs) return { ...held, lookAtMs: dueMs }
  if (s.othersServing === 0)
    return { ...held, reason: 'its member failed and its checks fail, but it is the last of its pool' }
  return { stance: 'maint', reason: 'its member failed and its checks failed for 60 s', release: false, shelve: true }
}

function keepFailed(s: Situation): Decision {
  if (!s.proven && s.gated && s.state !== 'draining')
    return stay('entering', 'its member failed before the first good probe')
  return stay('ready', 'its member failed, but HAProxy checks the server itself')
}

function unexplained(s: Situation, era: Era): Decision {
  if (s.drainingSinceMs !== undefined) return leaving(s, era, 'nobody claimed it')
  const stance = s.proven ? 'ready' : 'drain' // found draining: neither in nor out before somebody explains it
  if (era.joinedAtMs === undefined) return stay(stance, 'found in HAProxy, the cluster has not been joined yet')
  if (s.ringKnownSinceMs === undefined) return stranger(s, era, era.joinedAtMs)
  const dueMs = Math.max(era.joinedAtMs, s.sinceMs, s.ringKnownSinceMs) + PATIENCE_MS
  if (era.nowMs < dueMs) return { ...stay(stance, 'nobody claims it, under checks'), lookAtMs: dueMs }
  if (s.proven && s.othersServing === 0) return stay('ready', 'nobody claims it, but it is the last of its pool')
  return leaving(s, era, 'nobody claimed it for 60 s')
}

/** The ring knows little of what serves here: an empty half must not drain a healthy pool, so its checks decide alone. */
function stranger(s: Situation, era: Era, joinedAtMs: number): Decision {
  const stance = s.proven ? 'ready' : 'drain'
  const held = stay(stance, 'nobody claims it, nor most of what was found in HAProxy; its checks decide')
  if (s.downSinceMs === undefined) return held
  const dueMs = Math.max(joinedAtMs, s.downSinceMs) + PATIENCE_MS
  if (era.nowMs < dueMs) return { ...held, lookAtMs: dueMs }
  if (s.othersServing === 0) return stay(stance, 'nobody claims it and its checks fail, but it is the last of its pool')
  return leaving(s, era, 'nobody claims it and its checks failed for 60 s')
}

function leaving(s: Situation, era: Era, reason: string): Decision {
  const sinceMs = s.drainingSinceMs ?? era.nowMs
  const deadlineMs = sinceMs + era.drainTimeoutMs
  if (s.sessions === 0) return out(`${reason}, nothing is left on it`)
  if (era.nowMs >= deadlineMs) return out(`${reason}, ${s.sessions ?? 'unknown'} requests were left at the deadline`)
  const lookAtMs = Math.min(deadlineMs, era.nowMs + DRAIN_LOOK_MS)
  return {
    stance: 'drain',
    reason: `${reason}, ${s.sessions ?? 'unknown'} requests are left`,
    release: false,
    leaves: true,
    lookAtMs,
  }
}

function out(reason: string): Decision {
  return { stance: 'maint', reason, release: true }
}

function stay(stance: Stance, reason: string): Decision {
  return { stance, reason, release: false }
}
