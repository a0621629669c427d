import { Scope } from '../../base/index.ts'
import { startMemberlist } from '../../memberlist/index.ts'
import { SerfCore } from '../core.ts'
import { SnapshotRecord } from '../snapshot.ts'
import { encodeTags } from '../tags.ts'
import { settleKeyringFile } from './keyring-file.ts'
import { forgetRetired, RetiredKeys } from './retired-keys.ts'
import { Serf } from './serf.ts'
import { coreConfig, type SerfConfig, type SerfDeps } from './serf-config.ts'
import { SnapshotFile } from './snapshot-file.ts'
import { Snapshotter } from './snapshotter.ts'

/** memberlist 1 to 5, speaking 2; Serf 2 to 5: what real agents of the 0.9 line and later advertise, and what they speak by default. */
const VERSIONS = [1, 5, 2, 2, 5] as const
const PROTOCOL = 5

/**
 * A Serf agent without its RPC: listening, with its tags announced, and (with a snapshot) looking for the peers it knew.
 * @throws TagsTooLargeError, and memberlist's errors when it cannot listen; everything is released then
 */
export async function startSerf(config: SerfConfig, deps: SerfDeps, signal?: AbortSignal): Promise<Serf> {
  const meta = encodeTags(config.tags)
  await using scope = new Scope()
  const record = new SnapshotRecord(config.rejoinAfterLeave ?? false)
  const snapshot = config.snapshotPath === undefined ? undefined : new SnapshotFile(config.snapshotPath, record, deps)
  await snapshot?.open()
  if (snapshot !== undefined) scope.defer(() => snapshot.close())
  const known = [...record.nodes].filter(([name]) => name !== config.name).map(([name, at]) => `${name}/${at}`)
  const restored = snapshot === undefined ? undefined : record.clocks
  const core = new SerfCore(coreConfig(config, restored), deps.random, deps.clock.nowMs())
  if (config.keyring !== undefined && config.keyringPath !== undefined)
    await settleKeyringFile(config.keyringPath, config.keyring, deps.log)
  const retired = await openRetiredKeys(config, deps)
  if (retired !== undefined) scope.defer(() => retired.close())
  const snapshotter = new Snapshotter(snapshot, record, deps.clock, () => core.clock.time())
  const serf = new Serf(config, deps, core, snapshotter, retired)
  const { name, bind, advertise, profile, keyring, compress, protocol = PROTOCOL } = config
  const memberlist = await startMemberlist(
    { name, bind, advertise, profile, meta, versions: [...VERSIONS, protocol], keyring, compress },
    { ...deps, host: serf.host() },
    signal,
  )
  scope.move()
  serf.attach(memberlist, known)
  return serf
}

/** Undefined: removed keys have no grace time, and what was kept of them is forgotten. */
async function openRetiredKeys(config: SerfConfig, deps: SerfDeps): Promise<RetiredKeys | undefined> {
  const { keyring, keyringPath, keyGraceMs = 0 } = config
  if (keyring?.primary === undefined) return undefined
  if (keyGraceMs <= 0) {
    if (keyringPath !== undefined) await forgetRetired(keyringPath, deps.log)
    return undefined
  }
  const retired = new RetiredKeys(keyring, keyringPath, keyGraceMs, deps)
  await retired.open()
  return retired
}
