import { type OutputOptions, report } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'

interface ForceLeaveOptions extends RpcOptions, OutputOptions {
  readonly prune?: boolean
}

/** A failed member counts as left, or, pruned, is forgotten. One that lives comes back. */
export async function runForceLeave(options: ForceLeaveOptions, [node = '']: readonly string[]): Promise<void> {
  const pruned = options.prune === true
  await withRpc(options, client => client.forceLeave(node, pruned))
  const done = pruned ? 'is forgotten' : 'counts as left'
  report(options, `"${node}" ${done}, if it was a member that had failed`, { node, pruned })
}
