/** `muster plan`, `apply`, `rollback`: what the files say by now, before it is in force and after. */
import { userInfo } from 'node:os'
import { type ApplyReport, apiRequest, type GenerationReport, type PlanReport } from '../api/index.ts'
import { type ApiOptions, socketOf } from './api-options.ts'
import { EXIT } from './exit.ts'
import { formatOf, hasColour, print, printJson, tell } from './output.ts'
import { formatTable, printable, printableLines } from './table.ts'
import { UsageError } from './usage-error.ts'

export interface PlanOptions extends ApiOptions {
  readonly diff?: boolean
  readonly detailedExitcode?: boolean
}

export interface ApplyOptions extends PlanOptions {
  readonly dryRun?: boolean
  readonly plan?: string
  readonly reload?: boolean
}

export interface RollbackOptions extends ApplyOptions {
  readonly list?: boolean
}

export async function runPlan(options: PlanOptions): Promise<void> {
  const format = formatOf(options)
  const plan = await apiRequest(socketOf(options), 'GET /v1/plan')
  if (format === 'json') printJson(plan)
  else await showPlan(plan, options)
  const isSomething = plan.method !== 'nothing' || plan.services.length + plan.settings.length > 0
  if (plan.refusal !== undefined) process.exitCode = EXIT.failed
  else if (options.detailedExitcode === true && isSomething) process.exitCode = EXIT.changes
}

export async function runApply(options: ApplyOptions): Promise<void> {
  const format = formatOf(options)
  if (options.plan === '')
    throw new UsageError('--plan: it is empty; muster plan prints the id, without --plan all is done')
  const reload = options.reload === true ? { reload: '1' } : {}
  const query = { ...queryOf(options), ...reload, ...(options.plan === undefined ? {} : { plan: options.plan }) }
  const done = await apiRequest(socketOf(options), 'POST /v1/apply', query)
  if (format === 'json') printJson(done)
  else await showApplied(done, options)
}

/** @param generation a number; default the one before */
export async function runRollback(options: RollbackOptions, generation: string | undefined): Promise<void> {
  const format = formatOf(options)
  if (options.list === true) return listGenerations(options)
  if (generation !== undefined && !/^\d{1,15}$/.test(generation))
    throw new UsageError(
      `"${printable(generation)}" is not the number of a generation; muster rollback --list has them`,
    )
  const query = { ...queryOf(options), ...(generation === undefined ? {} : { to: generation }) }
  const done = await apiRequest(socketOf(options), 'POST /v1/rollback', query)
  if (format === 'json') return printJson(done)
  await showApplied(done, options)
  if (done.isApplied)
    tell(
      `Generation ${done.plan.generation} serves, also after a restart, until the files change; muster apply takes theirs.`,
    )
}

/** The plan as a person reads it: how, why, what is written otherwise, what is said to HAProxy. */
function planText(plan: PlanReport): string {
  const { id, method, reasons, commands, settings, services, restart, refusal } = plan
  const parts = [HEADS[method](id)]
  if (refusal !== undefined) parts.push(refusalText(method, refusal))
  if (reasons.length > 0) parts.push(reasons.map(reason => `  because ${printable(reason)}`).join('\n'))
  if (settings.length > 0) parts.push(`settings\n${indented(formatTable(settings.map(settingRow)))}`)
  if (commands.length > 0)
    parts.push(`commands for HAProxy's socket, in order\n${indented(commands.map(printable).join('\n'))}`)
  if (services.length > 0) parts.push(`services of this host\n${indented(services.map(printable).join('\n'))}`)
  if (restart.length > 0) parts.push(`takes a restart (muster handover, then start): ${restart.join(', ')}`)
  return parts.join('\n\n')
}

function refusalText(method: PlanReport['method'], words: string): string {
  const what =
    method === 'reload'
      ? 'HAProxy would refuse it, and nothing would be changed'
      : 'HAProxy refuses its file: the next start or reload would fail'
  return `${what}:\n${indented(printableLines(words))}`
}

const HEADS: Readonly<Record<PlanReport['method'], (id: string) => string>> = {
  nothing: () => 'HAProxy is as the files say',
  runtime: id => `plan ${id}: without a reload, over HAProxy's socket`,
  reload: id => `plan ${id}: a hitless reload`,
  file: id => `plan ${id}: only the file is written anew; HAProxy runs what it says`,
}

function settingRow({ path, from, to, where }: PlanReport['settings'][number]): string[] {
  return [path, `${valueText(from)} → ${valueText(to)}`, where === undefined ? '' : `(${where})`]
}

function valueText(value: unknown): string {
  return value === undefined ? 'default' : JSON.stringify(value)
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}

async function showPlan(plan: PlanReport, { diff }: PlanOptions): Promise<void> {
  print(planText(plan))
  if (diff === true && plan.before !== plan.after) print(`\n${await diffText(plan)}`)
}

async function showApplied({ plan, isApplied, receipt }: ApplyReport, options: PlanOptions): Promise<void> {
  if (!isApplied && plan.refusal !== undefined) process.exitCode = EXIT.failed
  if (!isApplied) return showPlan(plan, options)
  if (plan.restart.length > 0)
    tell(printable(`takes a restart (muster handover, then start): ${plan.restart.join(', ')}`))
  if (plan.services.length > 0) tell(printable(`services of this host: ${plan.services.join('; ')}`))
  if (receipt === undefined) return print('HAProxy was as wanted already; nothing was done to it')
  const { id, method, reasons, commands, tookMs } = receipt
  const how = { runtime: "over HAProxy's socket, without a reload", reload: 'by a hitless reload', file: 'in the file' }
  const lines = [`applied ${how[method]} in ${Math.round(tookMs)} ms, receipt ${id}`]
  lines.push(
    ...reasons.map(reason => `  because ${printable(reason)}`),
    ...commands.map(line => `  ${printable(line)}`),
  )
  print(lines.join('\n'))
}

/** Unified, as of `diff -u`; in colours on a terminal. */
async function diffText({ before, after }: PlanReport): Promise<string> {
  const { createTwoFilesPatch } = await import('diff')
  const patch = createTwoFilesPatch('haproxy.cfg', 'haproxy.cfg (planned)', before, after)
  const text = printableLines(patch).replace(/^=+\n/, '').trimEnd()
  if (!hasColour()) return text
  return text
    .replaceAll(/^\+.*$/gm, line => `\u001b[32m${line}\u001b[0m`)
    .replaceAll(/^-.*$/gm, line => `\u001b[31m${line}\u001b[0m`)
}

async function listGenerations(options: ApiOptions): Promise<void> {
  const found = await apiRequest(socketOf(options), 'GET /v1/generations')
  if (formatOf(options) === 'json') return printJson(found)
  if (found.generations.length === 0)
    return tell('no configuration of a balancer has been in force on this node; there is nothing to go back to')
  print(formatTable([['GENERATION', 'SINCE', 'BY', 'DIGEST', ''], ...found.generations.map(generationRow)]))
}

function generationRow({ number, at, actor, digest, isCurrent }: GenerationReport): string[] {
  return [String(number), at, actor, digest, isCurrent ? 'in force' : '']
}

function queryOf({ dryRun }: ApplyOptions): Record<string, string> {
  return { user: userInfo().username, ...(dryRun === true ? { 'dry-run': '1' } : {}) }
}
