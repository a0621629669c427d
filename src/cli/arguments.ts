/**
 * Serf's commands take one dash, ours two; commander would read `-node=a` as a bundle of letters. Everything before `--` that
 * looks like a long option gets its second dash; single letters stay.
 */
export function withTwoDashes(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((text, i) => ((end >= 0 && i >= end) || !/^-[A-Za-z][\w.-]+/.test(text) ? text : `-${text}`))
}

/**
 * Commander answers `muster hold --help` with the help of `muster`, as if all were well. A first word that is no command is left
 * alone, so that it is refused, with what it is like.
 */
export function withoutUnknown(args: readonly string[], commands: readonly string[]): readonly string[] {
  const name = args[0] === 'help' ? (args[1] ?? 'help') : (args[0] ?? '')
  const isAny = name === '' || name.startsWith('-') || name === 'help' || commands.includes(name)
  return isAny ? args : [name]
}
