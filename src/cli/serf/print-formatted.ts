import { type Console, say } from './console.ts'
import { quoted, trimmed } from './go-text.ts'

/** Prints one of the two forms; any other name of a format is an error that comes late, as the agent has been asked already. */
export function printFormatted(
  console: Console,
  format: string,
  forms: { readonly json: () => string; readonly text: () => string },
): number {
  if (format !== 'json' && format !== 'text')
    return say(console, `Encoding error: Invalid output format ${quoted(format)}`)
  say(console, format === 'json' ? forms.json() : trimmed(forms.text()))
  return 0
}
