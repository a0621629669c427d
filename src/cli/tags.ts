import { formatOf, type OutputOptions, print, printJson, report } from './output.ts'
import { type RpcOptions, withRpc } from './rpc.ts'
import { sortedEntries } from './serf/go-text.ts'
import { printable } from './table.ts'
import { tagsFrom } from './tag-options.ts'

interface TagsOptions extends RpcOptions, OutputOptions {
  readonly set?: readonly string[]
  readonly delete?: readonly string[]
}

/** Changes the agent's tags, or, with neither option, prints them. */
export async function runTags(options: TagsOptions): Promise<void> {
  const set = tagsFrom(options.set ?? [])
  const removed = options.delete ?? []
  const tags = await withRpc(options, async client => {
    if (options.set !== undefined || options.delete !== undefined) await client.tags(set, removed)
    return (await client.stats())['tags'] ?? {}
  })
  if (options.set !== undefined || options.delete !== undefined)
    return report(options, 'Successfully updated agent tags', { tags })
  if (formatOf(options) === 'json') return printJson({ tags })
  for (const [key, value] of sortedEntries(tags)) print(printable(`${key}=${value}`))
}
