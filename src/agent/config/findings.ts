/** Collects what is wrong while defaults are filled in. */
export interface Findings {
  problem(path: string, message: string): void
  warn(sentence: string): void
}

export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::'
}
