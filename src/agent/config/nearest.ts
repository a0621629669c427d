/** The candidate that is most like `word`, if it is near enough to be what was meant (Damerau–Levenshtein). */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const scored = candidates.map(candidate => ({ candidate, edits: editsBetween(word, candidate) }))
  const best = scored.sort((a, b) => a.edits - b.edits)[0]
  return best !== undefined && best.edits <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined
}

/** Longer words are not typed by mistake; the bound keeps the table small. */
const WORD_CHARS_MAX = 64

function editsBetween(left: string, right: string): number {
  if (left.length > WORD_CHARS_MAX) return Number.POSITIVE_INFINITY
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, j) => j)]
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= left.length; i++) {
    rows[i] = [i]
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]
      const edits = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same)
      ;(rows[i] as number[])[j] = swapped ? Math.min(edits, at(i - 2, j - 2) + 1) : edits
    }
  }
  return at(left.length, right.length)
}
