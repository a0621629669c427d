import { expect } from 'vitest'
import type { RecordedRun } from './recorded-runs.ts'

/** What a run printed without what is random: order of members, tags, acks and failures, times, keys, the process's figures. */
export function settled({ argv }: Pick<RecordedRun, 'argv'>, text: string): string {
  switch (argv[1]) {
    case 'members': // a row without tags ends in the column's blanks unless it is the last
      if (text.startsWith('{')) return settledJson(text)
      return sortedLines(text.replaceAll(/\S+=\S+(,\S+=\S+)+/g, sortedTags).replaceAll(/ +$/gm, ''))
    case 'query':
      return text.startsWith('{') ? settledJson(text) : sortedAnswers(text)
    case 'reachability':
      return sortedLines(text.replaceAll(/\d+\.\d\d sec/g, 'N sec'))
    case 'rtt':
      return text.replace(/\d+\.\d{3} ms/, 'N ms')
    case 'keygen':
      return text.replace(/^[\w+/]{43}=$/m, 'KEY')
    case 'keys':
      return sortedLines(text)
    case 'info':
      return text.replaceAll(/^(\s*"?[a-z_]+"?(?: =|:) "?)(?:\d+|(?:go|v)[\d.]+)("?,?)$/gm, '$1N$2')
    default:
      return text
  }
}

const sortedTags = (tags: string) => tags.split(',').sort().join(',')
const sortedLines = (text: string) => text.split('\n').sort().join('\n')

/** The first line and the totals keep their place. */
function sortedAnswers(text: string): string {
  const [first = '', ...lines] = text.replace('a\nb', 'a b').split('\n')
  const isAnswer = (line: string) => /^(Ack|Response) from/.test(line)
  return [first, ...lines.filter(isAnswer).sort(), ...lines.filter(line => !isAnswer(line))].join('\n')
}

/** The layout must be that of two spaces before the order is settled. */
function settledJson(text: string): string {
  const value = JSON.parse(text) as { members?: { name: string }[] | null; Acks?: string[] | null }
  expect(text).toBe(`${JSON.stringify(value, undefined, 2)}\n`)
  value.members?.sort((a, b) => (a.name < b.name ? -1 : 1))
  value.Acks?.sort()
  return JSON.stringify(value)
}
