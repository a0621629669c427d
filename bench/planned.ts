/**
 * A process that changes pools, for `plan.ts`: its figures are a line of JSON. `tsx bench/planned.ts DIRECTORY changes SIZE`, or `many`.
 * To see where the time goes: `node --cpu-prof --import tsx bench/planned.ts /tmp/p changes 1000`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { preview, type Server } from '../src/balancer/index.ts'
import { command } from './haproxy.ts'
import { BenchPool, MANY, serversOf, withOne } from './plan-pool.ts'
import { processorMs } from './processor.ts'

export interface ChangesCost {
  /** Milliseconds from the event to HAProxy's acknowledgement, of each change. */
  readonly weightMs: readonly number[]
  readonly drainMs: readonly number[]
  /** Of this process for each of them, on average; how busy the machine is does not matter here. */
  readonly processorMsPerChange: number
  /** Milliseconds until HAProxy has said how its servers are, without anything of ours: no change is quicker than that. */
  readonly haproxyMs: readonly number[]
  readonly renderMs: readonly number[]
  readonly planMs: readonly number[]
  readonly reloads: number
  /** Of this process, each second in which nothing changes. */
  readonly idleMsPerS: number
}

export interface ManyCost {
  /** Milliseconds for all, one after the other: `IN_TURN` of them measured, in a pool with all others. */
  readonly addMs: number
  readonly drainMs: number
  readonly removeMs: number
  /** The same, all at a time. */
  readonly addAtOnceMs: number
  readonly drainAtOnceMs: number
  readonly removeAtOnceMs: number
  readonly reloads: number
  /** One reload with all of them in the file. */
  readonly reloadMs: readonly number[]
  /** Servers that join, each by a reload of its own. */
  readonly eachReloadMs: readonly number[]
}

const EACH_RELOADED = 50
const IN_TURN = 100
const OTHERS = MANY - IN_TURN
/** Longer than a pass in any of the pools, and no divisor of a second: some changes meet the look of each second, as they do in life. */
const BETWEEN_MS = 37
const IDLE_MS = 4_000

async function changesCost(directory: string, size: number): Promise<ChangesCost> {
  await using pool = await BenchPool.open(directory, { template: 'slots', slots: Math.ceil(size * 1.5) })
  const servers = serversOf(size)
  await pool.settle(servers)
  const { reloads } = pool.balancer.status()
  const times = size > MANY ? 60 : 100
  for (let i = 0; i < 20; i++) await change(pool, servers, i, { weight: 3 }) // a young process is slow
  const [weightMs, drainMs]: [number[], number[]] = [[], []]
  const used = processorMs(process.pid)
  for (let i = 0; i < times; i++) weightMs.push(...(await change(pool, servers, i, { weight: 2 })))
  for (let i = 0; i < times; i++) drainMs.push(...(await change(pool, servers, i, { state: 'draining' })))
  const processorMsPerChange = (processorMs(process.pid) - used) / (4 * times)
  const haproxyMs = await timesOf(30, () => command(`${directory}/haproxy.sock`, 'show servers state'))
  const renderMs = await timesOf(10, () => preview(pool.config, servers))
  const planMs = await timesOf(10, () => pool.balancer.plan())
  const before = processorMs(process.pid)
  await pause(IDLE_MS)
  const idleMsPerS = ((processorMs(process.pid) - before) * 1_000) / IDLE_MS
  const after = pool.balancer.status().reloads - reloads
  return { weightMs, drainMs, processorMsPerChange, haproxyMs, renderMs, planMs, reloads: after, idleMsPerS }
}

/** There and back; both are changes. */
async function change(
  pool: BenchPool,
  servers: readonly Server[],
  turn: number,
  what: Partial<Server>,
): Promise<number[]> {
  const there = await pool.change(withOne(servers, (turn * 7) % servers.length, what))
  await pause(BETWEEN_MS)
  const back = await pool.change(servers)
  await pause(BETWEEN_MS)
  return [there.ms, back.ms]
}

async function manyCost(directory: string): Promise<ManyCost> {
  const all = serversOf(MANY)
  const draining = all.map(server => ({ ...server, state: 'draining' as const }))
  const slots = Math.ceil(MANY * 1.5)
  await using pool = await BenchPool.open(`${directory}/s`, { template: 'slots', slots })
  await pool.balancer.settle()
  const { reloads } = pool.balancer.status()
  const { ms: addAtOnceMs } = await pool.change(all)
  await pool.balancer.settle()
  const { ms: drainAtOnceMs } = await pool.change(draining)
  const { ms: removeAtOnceMs } = await pool.change(gone(draining))
  await pool.settle(all.slice(0, OTHERS))
  const addMs = await eachMs(pool, at => all.slice(0, OTHERS + at + 1))
  await pool.settle(all)
  const drainMs = await eachMs(pool, at => [...draining.slice(0, at + 1), ...all.slice(at + 1)])
  const removeMs = await eachMs(pool, at => [...gone(draining.slice(0, at + 1)), ...draining.slice(at + 1)])
  await pool.settle(all)
  const reloadMs: number[] = []
  const byCommands = pool.balancer.status().reloads - reloads
  for (let i = 0; i < 5; i++) {
    const asked = { actor: 'bench', causes: [], reload: true }
    reloadMs.push(...(await timesOf(1, () => pool.balancer.apply(undefined, asked))))
    await pool.balancer.settle()
  }
  await pool[Symbol.asyncDispose]()
  const eachReloadMs = await reloadedMs(`${directory}/n`, all)
  const one = { addMs, drainMs, removeMs }
  return { ...one, addAtOnceMs, drainAtOnceMs, removeAtOnceMs, reloads: byCommands, reloadMs, eachReloadMs }
}

/** One line per server: who joins a pool that is as large as it will be makes a reload. */
async function reloadedMs(directory: string, all: readonly Server[]): Promise<number[]> {
  await using pool = await BenchPool.open(directory, { template: 'named', slots: 1 })
  const present = all.slice(0, all.length - EACH_RELOADED)
  await pool.settle(present)
  const times: number[] = []
  for (let at = 0; at < EACH_RELOADED; at++) {
    const { ms, receipt } = await pool.change(all.slice(0, present.length + at + 1))
    if (receipt.method !== 'reload') throw new Error(`a server joined by ${receipt.method}`)
    times.push(ms)
    await pool.balancer.settle()
  }
  return times
}

async function eachMs(pool: BenchPool, listAt: (at: number) => Server[]): Promise<number> {
  let sum = 0
  for (let at = 0; at < IN_TURN; at++) sum += (await pool.change(listAt(at))).ms
  return (sum * MANY) / IN_TURN
}

function gone(servers: readonly Server[]): Server[] {
  return servers.map(server => ({ ...server, liveness: 'withdrawn' }))
}

async function timesOf(times: number, act: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  for (let i = 0; i < times; i++) {
    const began = performance.now()
    await act()
    taken.push(performance.now() - began)
  }
  return taken
}

const [directory = '', what = '', size = ''] = process.argv.slice(2)
console.log(JSON.stringify(what === 'many' ? await manyCost(directory) : await changesCost(directory, Number(size))))
