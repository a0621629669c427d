import { UsageError } from './usage-error.ts'

/** What stands behind a flag; undefined where the flag is not given. @throws UsageError for anything else, and out of range */
export function wholeNumber(flag: string, text: string, min: number, max: number): number
export function wholeNumber(flag: string, text: string | undefined, min: number, max: number): number | undefined
export function wholeNumber(flag: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= min && number <= max) return number
  throw new UsageError(`--${flag}: "${text}" is not a whole number from ${min} to ${max}`)
}
