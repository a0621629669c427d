import { apiRequest, reasonFault } from '../api/index.ts'
import type { RpcClient } from '../serf/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { type OutputOptions, report } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { UsageError } from './usage-error.ts'

interface LeaveOptions extends RpcOptions, OutputOptions, ApiOptions {
  readonly force?: boolean
  readonly reason?: string
}

/** The agent drains, leaves and ends; this waits for it. */
export async function runLeave(options: LeaveOptions): Promise<void> {
  if (options.force === true && options.reason === undefined)
    throw new UsageError('--force wants a reason for the journal: --force --reason "why"')
  const fault = options.reason === undefined ? undefined : reasonFault(options.reason)
  if (fault !== undefined) throw new UsageError(`--reason: ${fault}`)
  await withRpc(options, async client => {
    await assertMayLeave(client, options)
    await client.leave()
  })
  report(options, 'Graceful leave complete', { left: true })
}

/**
 * Asks the agent over its socket whether pools have enough servers without it. Whoever answers there may be another agent of this
 * host, and a real Serf agent has no such socket: then there is nothing to ask.
 * @throws RefusedError
 */
async function assertMayLeave(client: RpcClient, options: LeaveOptions): Promise<void> {
  const socket = socketOf(options)
  const node = await apiRequest(socket, 'GET /v1/status').then(
    status => status.node,
    () => undefined,
  )
  if (node === undefined || node !== (await client.stats())['agent']?.['name']) return
  await apiRequest(socket, 'POST /v1/leave-check', {
    ...(options.force === true ? { force: '1' } : {}),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  })
}
