/**
 * Serf's commands take one dash, ours two; commander would read `-node=a` as a bundle of letters. Everything before `--` that
 * looks like a long option gets its second dash; single letters stay.
 */
export function withTwoDashes(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((text, i) => ((end >= 0 && i >= end) || !/^-[A-Za-z][\w.-]+/.test(text) ? text : `-${text}`))
}
