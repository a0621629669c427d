/** Columns as wide as their widest entry, two spaces between, the last one not padded. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, printable(cell).length)
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === row.length - 1 ? printable(cell) : printable(cell).padEnd(widths[i] ?? 0))).join('  ')
  return rows.map(line).join('\n')
}

/** Names and tags come from strangers: nothing of theirs may move the cursor or begin a line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '\uFFFD')
}
