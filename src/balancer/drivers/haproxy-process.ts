import { execFile } from 'node:child_process'
import { readFile, readlink, rename, rm } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { type Clock, messageOf, sleep, writeFileAtomic } from '../../base/index.ts'
import { ConfigRefusedError, HaproxyMissingError, HaproxyTooOldError, ReloadFailedError } from '../errors.ts'
import { askMaster } from './runtime-socket.ts'

export interface Haproxy {
  readonly path: string
  /** `2.6.12-1+deb12u4`. */
  readonly version: string
}

/** What the master tells of its processes. */
export interface Processes {
  readonly masterPid: number
  readonly reloads: number
  readonly failed: number
  /** The one that serves; undefined before the first has loaded the file. */
  readonly workerPid: number | undefined
  /** Newest first, without the one that serves. */
  readonly oldWorkerPids: readonly number[]
}

const CHECK_TIMEOUT_MS = 30_000
const RELOAD_TIMEOUT_MS = 10_000
const RELOAD_POLL_MS = 10

/**
 * Finds HAProxy: the path given, else `haproxy` of the search path, else /usr/sbin/haproxy, which is not everybody's.
 * @throws HaproxyMissingError, HaproxyTooOldError
 */
export async function findHaproxy(path?: string): Promise<Haproxy> {
  let failure: unknown
  for (const candidate of path === undefined ? ['haproxy', '/usr/sbin/haproxy'] : [path]) {
    try {
      return await versionOf(candidate)
    } catch (thrown) {
      if (thrown instanceof HaproxyTooOldError) throw thrown
      failure = thrown
    }
  }
  throw new HaproxyMissingError(path ?? 'haproxy', { cause: failure })
}

async function versionOf(path: string): Promise<Haproxy> {
  const { words } = await run(path, ['-v'])
  const found = /^HA-?Proxy version ((\d+)\.(\d+)\S*)/m.exec(words)
  if (found === null) throw new HaproxyMissingError(path, { cause: new Error(words.slice(0, 200)) })
  const [, version = '', major, minor] = found
  if (Number(major) < 2 || (Number(major) === 2 && Number(minor) < 6)) throw new HaproxyTooOldError(path, version)
  return { path, version }
}

/**
 * Writes `text` beside `path` and lets HAProxy check it before it takes the old one's place.
 * @throws ConfigRefusedError: the old file is untouched, the new one is kept as `<path>.refused`
 */
export async function installChecked(haproxy: Haproxy, path: string, text: string): Promise<void> {
  await rename(await checkedCandidate(haproxy, path, text), path)
  await Promise.all([rm(`${path}.refused`, { force: true }), rm(`${path}.refused.txt`, { force: true })])
}

/** Lets HAProxy check `text`, and leaves `path` as it is. @throws ConfigRefusedError: it is kept as `<path>.refused` */
export async function assertAccepted(haproxy: Haproxy, path: string, text: string): Promise<void> {
  await rm(await checkedCandidate(haproxy, path, text))
}

/** HAProxy's words about `text` that it refuses, which it calls `<path> (planned)`; undefined where it takes it. No file is left. */
export async function refusalOf(haproxy: Haproxy, path: string, text: string): Promise<string | undefined> {
  const candidate = `${path}.planned`
  try {
    await writeFileAtomic(candidate, text)
    const { exitCode, words } = await check(haproxy, candidate)
    return exitCode === 0 ? undefined : words.replaceAll(candidate, `${path} (planned)`)
  } finally {
    await rm(candidate, { force: true })
  }
}

/** As it is run: `program` needs a master. */
function check(haproxy: Haproxy, path: string): ReturnType<typeof run> {
  return run(haproxy.path, ['-W', '-c', '-f', path])
}

async function checkedCandidate(haproxy: Haproxy, path: string, text: string): Promise<string> {
  const candidate = `${path}.new`
  await writeFileAtomic(candidate, text)
  const { exitCode, words } = await check(haproxy, candidate)
  if (exitCode !== 0) {
    await rename(candidate, `${path}.refused`)
    await writeFileAtomic(`${path}.refused.txt`, `${words}\n`)
    throw new ConfigRefusedError(`${path}.refused`, words.replaceAll(candidate, `${path}.refused`))
  }
  return candidate
}

/** The text of a file, undefined when there is none. @throws the system's other errors */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw thrown
  }
}

/** @throws RuntimeSocketError when no master listens there */
export async function showProcesses(masterSocket: string, clock: Clock): Promise<Processes> {
  const ask = (line: string) => askMaster(masterSocket, line, { timeoutMs: 2_000, clock })
  return parseProcesses(await ask('show proc'), await ask('@1 show info'))
}

/** An HAProxy that serves already. */
export interface RunningMaster {
  readonly pid: number
  /** The file that it reads at each reload, whatever today's configuration says; undefined when /proc does not tell. */
  readonly configPath: string | undefined
}

/** The master that listens on this socket; undefined when none does, or its worker does not serve yet. */
export async function findMaster(masterSocket: string, clock: Clock): Promise<RunningMaster | undefined> {
  const processes = await showProcesses(masterSocket, clock).catch(() => undefined)
  if (processes?.workerPid === undefined) return undefined
  return { pid: processes.masterPid, configPath: await configPathOf(processes.masterPid).catch(() => undefined) }
}

async function configPathOf(pid: number): Promise<string | undefined> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
  const path = words[words.indexOf('-f') + 1]
  return !words.includes('-f') || !path ? undefined : resolvePath(await readlink(`/proc/${pid}/cwd`), path)
}

/**
 * Reads `show proc`, and who serves from what `@1` answers to `show info`. The list alone does not tell since 3.1: a worker
 * is the current one there before it has read the file, and after a failed reload the one that serves is among the old.
 */
export function parseProcesses(list: string, info: string): Processes {
  const [, old = ''] = list.split('# old workers')
  const master = /^(\d+)\s+master\s+(\d+)(?:\s+\[failed: (\d+)\])?/m.exec(list)
  const found = /^Pid: (\d+)/m.exec(info)
  const workerPid = found === null ? undefined : Number(found[1])
  const oldPids = [...old.matchAll(/^(\d+)\s+worker\s/gm)].map(row => Number(row[1]))
  return {
    masterPid: Number(master?.[1] ?? 0),
    reloads: Number(master?.[2] ?? 0),
    failed: Number(master?.[3] ?? 0),
    workerPid,
    oldWorkerPids: oldPids.filter(pid => pid !== workerPid),
  }
}

/**
 * Makes the master load its file again, and confirms that it did: by its own word (since 2.7), and by one attempt more,
 * none failed, another worker.
 * @returns the new worker's pid
 * @throws ReloadFailedError: the old worker serves on
 */
export async function reload(masterSocket: string, clock: Clock, signal?: AbortSignal): Promise<number> {
  const before = await showProcesses(masterSocket, clock)
  const deadlineMs = clock.nowMs() + RELOAD_TIMEOUT_MS
  await askToReload(masterSocket, clock, deadlineMs, signal)
  while (clock.nowMs() < deadlineMs) {
    const now = await showProcesses(masterSocket, clock).catch(() => undefined) // refused while the master re-executes itself
    if (now?.failed !== undefined && now.failed > before.failed)
      throw new ReloadFailedError('HAProxy could not load the new file')
    const changed = now !== undefined && now.workerPid !== undefined && now.workerPid !== before.workerPid
    if (changed && now.failed === 0) return now.workerPid as number
    await sleep(clock, RELOAD_POLL_MS, signal)
  }
  throw new ReloadFailedError(`no new worker within ${RELOAD_TIMEOUT_MS} ms`)
}

/**
 * 2.6 cuts the connection without a word, later versions answer when the file is loaded, or not. Since 3.1 the master
 * refuses while somebody else's reload lasts; that one may have read the file before ours was in place, so ours follows.
 */
async function askToReload(master: string, clock: Clock, deadlineMs: number, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const answer = await askMaster(master, 'reload', { timeoutMs: 5_000, clock }).catch(() => '') // it cuts every connection
    if (!answer.startsWith('Success=0')) return
    if (!answer.includes('reload is still in progress') || clock.nowMs() >= deadlineMs) {
      const alerts = answer.split('\n').filter(line => line.startsWith('[ALERT]'))
      throw new ReloadFailedError(`HAProxy could not load the new file\n${alerts.join('\n').slice(0, 1_000)}`.trimEnd())
    }
    await sleep(clock, RELOAD_POLL_MS, signal)
  }
}

/** Descriptors that this process and its children may open. */
export async function descriptorLimit(): Promise<number> {
  const text = await readIfThere('/proc/self/limits').catch(() => undefined)
  const found = /^Max open files\s+\S+\s+(\d+)/m.exec(text ?? '')
  return found === null ? 1_024 : Number(found[1])
}

function run(path: string, args: readonly string[]): Promise<{ exitCode: number; words: string }> {
  return new Promise((resolve, reject) => {
    execFile(path, args, { timeout: CHECK_TIMEOUT_MS, maxBuffer: 1 << 20 }, (error, out, err) => {
      const words = `${out}${err}`.trim()
      if (error === null) resolve({ exitCode: 0, words })
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, words })
      else reject(new Error(`${path}: ${messageOf(error)}`, { cause: error }))
    })
  })
}
