/**
 * base: what every room stands on. The clock and randomness are interfaces here so that nothing above touches the real
 * ones; errors, logs, ownership and bounded queues have one shape in the whole house.
 */
export { type Address, formatAddress, ipFromBytes, ipToBytes, parseHostPort } from './address.ts'
export { BoundedQueue } from './bounded-queue.ts'
export { type Clock, sleep, systemClock, type Timer } from './clock.ts'
export { AssertionError, assert, MusterError, messageOf } from './errors.ts'
export { groupBy } from './group-by.ts'
export { Listeners } from './listeners.ts'
export { type Log, type LogFields, silentLog } from './log.ts'
export { type Random, seededRandom, shuffle, systemRandom } from './random.ts'
export { type Ending, Scope } from './scope.ts'
export { type Lateness, WakeUp } from './wake-up.ts'
export { type Deferred, deferred, type Limit, within } from './within.ts'
export { age, counted } from './words.ts'
export { removeTornWrites, replaceFile, writeFileAtomic } from './drivers/atomic-file.ts'
export { readRegularFile } from './drivers/regular-file.ts'
export { portHolder } from './drivers/port-holder.ts'
export { type ProbeTarget, probe } from './drivers/probe.ts'
export { FileLock, LockError, lockFile, lockHolders } from './drivers/lock.ts'
export {
  bootId,
  groupMembers,
  identify,
  isAlive,
  type ProcessIdentity,
  type ProcessStat,
  processIds,
  readProcess,
  signalGroup,
  signalProcess,
} from './drivers/process-identity.ts'
