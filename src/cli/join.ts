import { type OutputOptions, report } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'

interface JoinOptions extends RpcOptions, OutputOptions {
  readonly replay?: boolean
}

/** Tells the agent to join the ring of any of these members. */
export async function runJoin(options: JoinOptions, addresses: readonly string[]): Promise<void> {
  const contacted = await withRpc(options, client => client.join(addresses, options.replay === true))
  report(options, `Successfully joined cluster by contacting ${contacted} nodes.`, { contacted })
}
