import { type Clock, messageOf, sleep } from '../../base/index.ts'
import type { Load, LedgerStats } from '../../prove/index.ts'
import { withDeadline } from '../tier/deadline.ts'
import type { Tier } from '../tier/drivers/tier.ts'

const FRAME_MS = 500
const LINE_EVERY_FRAMES = 20
/** Clears from the top of the screen. */
const HOME = '\u001b[H\u001b[J'

/** Shows who serves until someone quits: with keys on a terminal, as a line now and then elsewhere. */
export async function watchLive(
  deps: { tier: Tier; load: Load; clock: Clock; banner: string },
  signal: AbortSignal,
): Promise<void> {
  const quit = new AbortController()
  const onAbort = () => quit.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  const ended = quit.signal
  const state = { note: '', busy: false }
  const onKey = (key: string) => void press(key, deps, state, quit)
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true
  if (terminal) process.stdin.setRawMode(true).setEncoding('utf8').on('data', onKey).resume()
  try {
    for (let frame = 0; !ended.aborted; frame++) {
      if (terminal) process.stdout.write(HOME + frameOf(deps, state.note))
      else if (frame % LINE_EVERY_FRAMES === 0) process.stdout.write(`${lineOf(deps.load.stats())}\n`)
      await sleep(deps.clock, FRAME_MS, ended).catch(() => {}) // woken to end
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (terminal) process.stdin.setRawMode(false).off('data', onKey).pause()
  }
}

async function press(
  key: string,
  deps: { tier: Tier; load: Load; clock: Clock },
  state: { note: string; busy: boolean },
  quit: AbortController,
): Promise<void> {
  if (key === 'q' || key === '\u0003') return quit.abort()
  if (state.busy || !'ask'.includes(key)) return
  state.busy = true
  try {
    state.note = await act(key, deps, quit.signal, note => {
      state.note = note
    })
  } catch (failure) {
    state.note = messageOf(failure)
  } finally {
    state.busy = false
  }
}

async function act(
  key: string,
  deps: { tier: Tier; load: Load; clock: Clock },
  quit: AbortSignal,
  say: (note: string) => void,
): Promise<string> {
  const { tier, load, clock } = deps
  if (key === 'a') {
    say('adding a server …')
    const { name } = await tier.addServer()
    const followedMs = await withDeadline(clock, 20_000, quit, signal => load.untilServed(name, signal))
    return `${name} serves ${followedMs.toFixed(0)} ms after its start`
  }
  const server = tier.servers.at(key === 's' ? 0 : -1)
  if (server === undefined) return 'there is no server; press a to add one'
  if (key === 's') {
    say(`stopping ${server.name} …`)
    await tier.stopServer(server)
    return `${server.name} has drained, left and stopped`
  }
  load.killBegins()
  try {
    await tier.killWeb(server)
  } finally {
    load.killEnds()
  }
  return `the process of ${server.name} was killed; its agent starts it again`
}

function frameOf(deps: { tier: Tier; load: Load; banner: string }, note: string): string {
  const stats = deps.load.stats()
  const servers = deps.tier.servers.map(
    ({ name, ip, port }) => `  ${name.padEnd(8)} http://${ip}:${port}/  ${stats.byServer[name] ?? 0} requests`,
  )
  return [deps.banner, '', ...servers, '', lineOf(stats), note, '', 'a add   s stop   k kill -9   q quit', ''].join(
    '\n',
  )
}

function lineOf(stats: LedgerStats): string {
  const { perSecond, sent, lost, unknown, latencies } = stats
  return `${perSecond} requests/s, ${sent} sent, ${lost} lost, ${unknown} unknown, p99 ${latencies.p99Ms.toFixed(0)} ms`
}
