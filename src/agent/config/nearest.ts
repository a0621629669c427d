/** The candidate that is most like `word`, if it is near enough to be what was meant (Damerau–Levenshtein). */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const scored = candidates.map(candidate => ({ candidate, edits: editsBetween(word, candidate) }))
  const best = scored.sort((a, b) => a.edits - b.edits)[0]
  return best !== undefined && best.edits <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined
}

/** Longer words are not typed by mistake; the bound keeps the table small. */
export const WORD_CHARS_MAX = 64

/** Letters put in, taken away, changed, or swapped with their neighbour. */
export function editsBetween(left: string, right: string): number {
  if (left.length > WORD_CHARS_MAX) return Number.POSITIVE_INFINITY
  let [before, last]: [number[], number[]] = [[], Array.from({ length: right.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= left.length; i++) {
    const row = [i]
    for (let j = 1; j <= right.length; j++) {
      const changed = left[i - 1] === right[j - 1] ? 0 : 1
      const isSwapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]
      const edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + changed)
      row.push(isSwapped ? Math.min(edits, (before[j - 2] ?? 0) + 1) : edits)
    }
    ;[before, last] = [last, row]
  }
  return last[right.length] ?? 0
}
