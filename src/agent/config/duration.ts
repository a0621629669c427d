const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Ten years: longer is a mistake, and timers could not hold it. */
const DURATION_MS_MAX = 10 * 366 * 24 * 3_600_000

/**
 * A duration as Go writes it: `300ms`, `1.5s`, `1h10m`, `0`. No sign, and a bare number other than 0 is none.
 * @returns milliseconds, or undefined
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^(?:(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined
  let sumMs = 0
  for (const [, amount, unit] of text.matchAll(/([\d.]+)([a-zµμ]+)/g))
    sumMs += Number(amount) * (UNIT_MS[unit as string] ?? 0)
  return sumMs > DURATION_MS_MAX ? undefined : sumMs
}
