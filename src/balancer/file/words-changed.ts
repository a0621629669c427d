/** Lines of pairs of words, of which any may be the one that has changed; of others the first two words tell what they are about. */
const PAIRED = new Set(['default-server', 'stick-table'])

/**
 * What to call the lines that are no more and the lines that are new: `timeout server`, `default-server fall 3 → 2`; each once, the
 * new ones first.
 */
export function wordsChanged(gone: readonly string[], added: readonly string[]): string[] {
  const left = [...gone]
  const names = added.map(line => {
    const at = PAIRED.has(keywordOf(line)) ? left.findIndex(other => isSameKind(line, other)) : -1
    const [before] = at < 0 ? [] : left.splice(at, 1)
    return before === undefined ? nameOf(line) : changeOf(before, line)
  })
  return [...new Set([...names, ...left.map(nameOf)])]
}

function isSameKind(a: string, b: string): boolean {
  return wordsOf(a).slice(0, 2).join(' ') === wordsOf(b).slice(0, 2).join(' ')
}

function nameOf(line: string): string {
  const words = wordsOf(line)
  const isOnePair = words.length <= 3
  return words.slice(0, PAIRED.has(keywordOf(line)) && !isOnePair ? 1 : 2).join(' ')
}

/** `default-server inter 2s fall 3 → 2`, where the same settings have other values; else the keyword alone. */
function changeOf(before: string, after: string): string {
  const [old, now] = [wordsOf(before), wordsOf(after)]
  const changes = now.flatMap((word, i) => (word === old[i] ? [] : [i]))
  const areValues = changes.every(i => i > 1 && now[i - 1] === old[i - 1] && now[i + 1] === old[i + 1])
  if (old.length !== now.length || changes.length === 0 || !areValues) return keywordOf(after)
  return [keywordOf(after), ...changes.map(i => `${now[i - 1]} ${old[i]} → ${now[i]}`)].join(' ')
}

function keywordOf(line: string): string {
  return wordsOf(line)[0] ?? ''
}

/** Without what `parseStructure` notes behind a line. */
function wordsOf(line: string): string[] {
  return (line.split(' # ', 1)[0] ?? '').split(' ')
}
