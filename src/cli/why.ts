import { apiRequest, type WhyEvidence, type WhyFact, type WhyReport } from '../api/index.ts'
import { age } from '../base/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { listed } from './drain-text.ts'
import { EXIT } from './exit.ts'
import { historyTable } from './history.ts'
import { formatOf, print, printJson, tell } from './output.ts'
import { formatTable, printable } from './table.ts'

/** One verdict in words, then the evidence. Exit 1 when something is wrong. @param what a name or an address; default: this node */
export async function runWhy(what: string | undefined, options: ApiOptions): Promise<void> {
  const isJson = formatOf(options) === 'json'
  const report = await apiRequest(socketOf(options), 'GET /v1/why', what === undefined ? {} : { what })
  if (report.verdict.severity === 'wrong') process.exitCode = EXIT.failed
  if (isJson) return printJson(report)
  print(whyText(report, Date.now()))
  if (report.silent.length > 0) tell(`no answer from ${listed(report.silent)}`)
}

export function whyText({ verdict, also, evidence, records }: WhyReport, nowMs: number): string {
  const others = also.map(one => `  ${one.severity === 'wrong' ? '-' : '+'} ${printable(one.sentence)}`)
  const parts = [
    printable(verdict.sentence),
    ...(others.length === 0 ? [] : [['and also:', ...others].join('\n')]),
    ...evidence.map(blockText),
    ...(records.length === 0 ? [] : [historyTable(records, nowMs)]),
  ]
  return parts.join('\n\n')
}

function blockText({ from, about, seenBy, facts }: WhyEvidence): string {
  const rows = Object.entries(facts).flatMap(([key, value]) => rowsOf(key, value))
  return `${from}: ${printable(about)}, as ${printable(seenBy)} sees it\n${formatTable(rows)}`
}

function rowsOf(key: string, value: WhyFact): string[][] {
  const word = wordOf(key)
  if (Array.isArray(value)) return value.map((one: string, at) => [`  ${at === 0 ? word : ''}`, one])
  if (typeof value === 'number' && key.endsWith('Ms')) return [[`  ${word}`, durationText(value)]]
  return [[`  ${word}`, typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value as string | number)]]
}

/** `checkTookMs` → `check took`, `errors5xx` → `errors 5xx`. */
function wordOf(key: string): string {
  const word = key.replace(/Ms$/, '')
  return word.replaceAll(/[A-Z]|(?<=[a-z])\d/g, start => ` ${start.toLowerCase()}`)
}

function durationText(ms: number): string {
  return ms < 1000 ? `${ms} ms` : age(ms)
}
