/**
 * Columns as wide as their widest entry, two spaces between, the last one not padded.
 * @param paint adds colour to a padded cell
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  paint: (text: string, column: number) => string = text => text,
): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, printable(cell).length)
  const cellText = (cell: string, i: number, row: readonly string[]) =>
    paint(i === row.length - 1 ? printable(cell) : printable(cell).padEnd(widths[i] ?? 0), i)
  return rows.map(row => row.map(cellText).join('  ')).join('\n')
}

/** What moves the cursor, begins a line, or turns the order of what follows round (Unicode's bidirectional controls). */
export const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

/** Names, tags, reasons and marks come from strangers: nothing of theirs may change how the rest of the screen reads. */
export function printable(text: string): string {
  return text.replace(UNSEEN, '\uFFFD')
}

/** The same for text that may have several lines, such as a response or a log entry. */
export function printableLines(text: string): string {
  return text.replace(UNSEEN, char => (char === '\n' || char === '\t' ? char : '\uFFFD'))
}
