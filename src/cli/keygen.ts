import { formatOf, type OutputOptions, print, printJson } from './output.ts'
import { newKey } from './serf/keygen.ts'

/** A new key for `-encrypt` or `muster keys -install`. */
export async function runKeygen(options: OutputOptions): Promise<void> {
  const key = newKey()
  if (formatOf(options) === 'json') printJson({ key })
  else print(key)
}
