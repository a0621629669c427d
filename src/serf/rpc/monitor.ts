/** Serf's log levels, from the finest. */
const LEVELS: readonly string[] = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERR']

/**
 * Which lines a monitor of this level sees. A line's level stands between its first `[` and the next `]`; a line whose level
 * is unknown, or that has none, always passes (serf-rpc 4.8).
 * @returns undefined when there is no such level, whatever its case
 */
export function lineFilter(level: string): ((line: string) => boolean) | undefined {
  const wanted = LEVELS.indexOf(level.toUpperCase())
  if (wanted < 0) return undefined
  return line => {
    const at = LEVELS.indexOf(levelOf(line))
    return at < 0 || at >= wanted
  }
}

function levelOf(line: string): string {
  const start = line.indexOf('[')
  const end = start < 0 ? -1 : line.indexOf(']', start)
  return end < 0 ? '' : line.slice(start + 1, end)
}
