import { formatOf, type OutputOptions, print, printJson } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { sortedEntries } from './serf/go-text.ts'
import { printable } from './table.ts'

/** What the agent says of itself, section by section. */
export async function runInfo(options: RpcOptions & OutputOptions): Promise<void> {
  const format = formatOf(options)
  const stats = await withRpc(options, client => client.stats())
  if (format === 'json') return printJson(stats)
  for (const [section, keys] of sortedEntries(stats)) {
    print(`${printable(section)}:`)
    for (const [key, value] of sortedEntries(keys)) print(`\t${printable(`${key} = ${value}`)}`)
  }
}
