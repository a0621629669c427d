import * as z from 'zod'
import { messageOf } from '../../base/index.ts'
import type { ConfigWorld } from './drivers/world.ts'
import type { Findings } from './findings.ts'

const Tags = z.record(z.string(), z.string())

/**
 * The tags that were set while an earlier agent ran, from Serf's tags file: a JSON map of text to text. None while it does
 * not exist.
 */
export function readTagsFile(path: string, world: ConfigWorld, findings: Findings): Record<string, string> {
  const problem = (reason: string) => {
    findings.problem('cluster.tags_file', `cluster.tags_file: ${path}: ${reason}`)
    return {}
  }
  if (!world.exists(path)) return {}
  try {
    const tags = Tags.safeParse(JSON.parse(world.readText(path)))
    return tags.success ? tags.data : problem('is not a JSON map of text to text')
  } catch (error) {
    return problem(messageOf(error))
  }
}
