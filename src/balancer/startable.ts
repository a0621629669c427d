import type { Clock, Log } from '../base/index.ts'
import { assertSound, type BalancerConfig, socketPaths } from './config.ts'
import { bindAddresses, parseStructure } from './file/config-structure.ts'
import { HaproxyControl } from './drivers/haproxy-control.ts'
import { type Haproxy, descriptorLimit, findHaproxy, readIfThere } from './drivers/haproxy-process.ts'
import { findRunning } from './drivers/lost-sockets.ts'
import { makeDirectories } from './drivers/template-file.ts'
import { assertBindable } from './drivers/test-bind.ts'
import { TemplateError } from './errors.ts'
import { Layout } from './file/layout.ts'
import { Roster } from './pool/roster.ts'
import { maxconnFor, renderOf } from './start.ts'

/**
 * Whether a balancer of this configuration can be started; to be asked before anything else is. Where there is no file for HAProxy
 * yet, a first one is put there, without servers, since only HAProxy itself can tell whether it accepts it.
 * @throws HaproxyMissingError, HaproxyTooOldError, BalancerConfigError, BindError, TemplateError or ConfigRefusedError; a template
 * that is broken is no obstacle where a last good file is
 */
export async function assertStartable(
  config: BalancerConfig,
  deps: { readonly clock: Clock; readonly log: Log },
): Promise<void> {
  assertSound(config)
  const haproxy = await findHaproxy(config.haproxyPath)
  const running = await findRunning(socketPaths(config).master, deps.clock)
  const last = await readIfThere(running?.configPath ?? config.configPath)
  try {
    await assertAcceptable(config, haproxy, { ...deps, isFirst: last === undefined, isRunning: running !== undefined })
  } catch (failure) {
    if (last === undefined || !(failure instanceof TemplateError)) throw failure
  }
}

async function assertAcceptable(
  config: BalancerConfig,
  haproxy: Haproxy,
  o: { readonly clock: Clock; readonly log: Log; readonly isFirst: boolean; readonly isRunning: boolean },
): Promise<void> {
  const render = await renderOf(config)
  if (o.isRunning) return // it has its addresses, and what it refuses changes nothing
  const control = new HaproxyControl(haproxy, { config: config.configPath, ...socketPaths(config) }, o.clock, o.log)
  const descriptors = await descriptorLimit()
  const maxconn = (checks: number, wanted: number | undefined) => maxconnFor(descriptors, checks, wanted)
  const text = new Layout(config, render, maxconn).text(new Roster(false))
  await assertBindable(bindAddresses(parseStructure(text)), [])
  if (!o.isFirst) return
  await makeDirectories(config.runDir, config.configPath)
  await control.install(text)
}
