import { type OutputOptions, report } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'

/** The agent drains, leaves and ends; this waits for it. */
export async function runLeave(options: RpcOptions & OutputOptions): Promise<void> {
  await withRpc(options, client => client.leave())
  report(options, 'Graceful leave complete', { left: true })
}
