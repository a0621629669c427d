/**
 * What the world does to us: typed, with a stable `code`, the original as `cause`, and a message that says what failed,
 * what still holds and what to do. Each subclass tells in its docstring what state is left behind.
 */
export abstract class MusterError extends Error {
  abstract readonly code: string

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
  }
}

/** A defect in Muster itself. Nothing catches it on purpose: state may be inconsistent. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** What must never happen. Stays on in production (TigerBeetle's TIGER_STYLE: assertions are not for tests only). */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The sentence of whatever was thrown, for a log field or another message. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
