import type { Clock } from '../../base/index.ts'
import { type HaproxyEvidence, parseEvidence } from '../state/evidence.ts'
import { RuntimeSocketError } from '../errors.ts'
import { masterSession, openRuntimeSession } from './runtime-socket.ts'

const TIMEOUT_MS = 1_000

/** What the worker that serves says of its servers. @throws RuntimeSocketError */
export async function haproxyEvidence(
  paths: { readonly admin: string; readonly master: string },
  clock: Clock,
): Promise<HaproxyEvidence[]> {
  const limits = { timeoutMs: TIMEOUT_MS, clock }
  const session = await openRuntimeSession(paths.admin, limits).catch((failure: unknown) => {
    if (failure instanceof RuntimeSocketError) return masterSession(paths.master, limits) // a template without `stats socket`
    throw failure
  })
  try {
    return parseEvidence(await session.command('show stat -1 4 -1'))
  } finally {
    session.close()
  }
}
