/** One picture: lines over a common axis. */
export interface Plot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

export interface Axis {
  readonly label: string
  /** `log` is log(1 + value), so that 0 has its place; default linear. */
  readonly scale?: 'linear' | 'log'
  /** Where marks stand; default: a few round numbers. */
  readonly marks?: readonly number[]
  /** The ends; default: what the values need, y from 0. */
  readonly min?: number
  readonly max?: number
  /** A mark's text; default: the shortest of the number. */
  readonly show?: (value: number) => string
}

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** An axis with everything decided. */
export interface Scale {
  readonly label: string
  readonly marks: readonly { readonly at: number; readonly text: string }[]
  /** 0 at the beginning of the axis, 1 at its end. */
  at(value: number): number
}

export function scalesOf({ x, y, series }: Plot): { x: Scale; y: Scale } {
  const points = series.flatMap(one => one.points)
  return {
    x: scaleOf(
      x,
      points.map(([value]) => value),
    ),
    y: scaleOf(
      { min: 0, ...y },
      points.map(([, value]) => value),
    ),
  }
}

function scaleOf(axis: Axis, values: readonly number[]): Scale {
  const show = axis.show ?? shortest
  const min = axis.min ?? least(values)
  const max = Math.max(axis.max ?? most(values), min + Number.EPSILON)
  const isLog = axis.scale === 'log'
  const all = axis.marks ?? (isLog ? powers(max) : round(min, max))
  const marks = all.filter(value => axis.max === undefined || value <= axis.max)
  const end = axis.max === undefined ? Math.max(max, marks.at(-1) ?? max) : max
  const project = (value: number) => (isLog ? Math.log10(1 + value) : value)
  const span = project(end) - project(min) || 1
  const at = (value: number) => Math.min(1, Math.max(0, (project(value) - project(min)) / span))
  return { label: axis.label, marks: marks.map(value => ({ at: at(value), text: show(value) })), at }
}

/** At most six steps of 1, 2 or 5 times a power of ten, the last one not below `max`. */
function round(min: number, max: number): number[] {
  const rough = (max - min) / 5 || 1
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find(factor => factor * power >= rough) ?? 10)
  const first = Math.ceil(min / step)
  const count = Math.max(1, Math.ceil(max / step - 1e-9) - first)
  return Array.from({ length: count + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

function powers(max: number): number[] {
  const marks = [0, 1]
  while ((marks.at(-1) as number) < max) marks.push((marks.at(-1) as number) * 10)
  return marks
}

const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)

/** 1200 is 1.2k. */
export function shortest(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e6) return `${trimmed(value / 1e6)}M`
  if (size >= 1e4) return `${trimmed(value / 1e3)}k`
  return trimmed(value)
}

const trimmed = (value: number) => String(Number(value.toPrecision(3)))
