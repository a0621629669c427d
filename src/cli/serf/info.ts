import { orSay, withAgent } from './connect.ts'
import { flagsOf, type SerfCommand } from './console.ts'
import { jsonText, sortedEntries, sortedRecord } from './go-text.ts'
import { printFormatted } from './print-formatted.ts'

export const info: SerfCommand = async (args, console) => {
  const parsed = flagsOf(console, 'info', { format: 'text' }, args)
  if (parsed === undefined) return 1
  return withAgent(console, parsed.flags, client =>
    orSay(console, 'Error querying agent', async () => {
      const sections = sortedEntries(await client.stats()).map(([name, keys]) => [name, sortedRecord(keys)] as const)
      return printFormatted(console, parsed.flags.format ?? 'text', {
        json: () => jsonText(Object.fromEntries(sections)),
        text: () => sections.map(([name, keys]) => sectionText(name, keys)).join(''),
      })
    }),
  )
}

function sectionText(name: string, keys: Readonly<Record<string, string>>): string {
  const lines = Object.entries(keys).map(([key, value]) => `\t${key} = ${value}\n`)
  return `${name}:\n${lines.join('')}`
}
