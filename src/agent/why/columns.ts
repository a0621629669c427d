/** How a record travels as a row of JSON values: what writes a column also reads it, and takes nothing for granted then. */

/** One place in a row. */
export interface Column<T> {
  readonly write: (value: T) => unknown
  /** SPOILT: it is no such value, and what it stands in is no such row. */
  readonly read: (found: unknown) => T | typeof SPOILT
}

export const SPOILT: unique symbol = Symbol('spoilt')

/** Written; a longer text is cut. */
const TEXT_MAX = 120
/** Read: cut or not, in whatever release. */
const READ_TEXT_MAX = 256
const LIST_MAX = 8
const COUNT_MAX = 1e12

/**
 * A record as a list of its columns, in the order in which they are named here: agents of other releases read it, so new
 * columns come last. What is undefined is left out of the record that is read.
 */
export function row<T extends object>(columns: { readonly [K in keyof T]-?: Column<T[K]> }): Column<T> {
  const named = Object.entries(columns) as [keyof T & string, Column<unknown>][]
  return {
    write: record => named.map(([name, column]) => column.write(record[name])),
    read: found => {
      if (!Array.isArray(found)) return SPOILT
      const read = named.map(([name, column], at) => [name, column.read(found[at])] as const)
      if (read.some(([, value]) => value === SPOILT)) return SPOILT
      return Object.fromEntries(read.filter(([, value]) => value !== undefined)) as T
    },
  }
}

/** @param max what is longer is cut when it is written */
export function text(max = TEXT_MAX): Column<string> {
  return {
    write: value => (value.length <= max ? value : `${value.slice(0, max - 1)}…`),
    read: found => (typeof found === 'string' && found.length <= READ_TEXT_MAX ? found : SPOILT),
  }
}

export function oneOf<T extends string>(words: readonly T[]): Column<T> {
  return { write: word => word, read: found => words.find(word => word === found) ?? SPOILT }
}

/** Whole, 0 or more. @param unit what one of it stands for: 1000 for milliseconds that travel as seconds */
export function count(unit = 1): Column<number> {
  return {
    write: value => Math.floor(value / unit),
    read: found => (typeof found === 'number' && found >= 0 && found <= COUNT_MAX ? found * unit : SPOILT),
  }
}

/** Some numbers; undefined where nobody can tell. */
export const counts: Column<readonly number[] | undefined> = {
  write: values => values?.slice(0, LIST_MAX) ?? 0,
  read: found => (Array.isArray(found) ? (found as unknown[]).slice(0, LIST_MAX).filter(isWhole) : undefined),
}

export const flag: Column<boolean> = {
  write: value => (value ? 1 : 0),
  read: found => (typeof found === 'number' ? found === 1 : SPOILT),
}

/** @param none travels where there is no value */
export function maybe<T>(column: Column<T>, none: '' | 0 | -1): Column<T | undefined> {
  return {
    write: value => (value === undefined ? none : column.write(value)),
    read: found => (found === none ? undefined : column.read(found)),
  }
}

/** A part that may be missing: one that cannot be read spoils nothing else. */
export function part<T>(column: Column<T>): Column<T | undefined> {
  return {
    write: value => (value === undefined ? 0 : column.write(value)),
    read: found => {
      const value = column.read(found)
      return value === SPOILT ? undefined : value
    },
  }
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value)
}
