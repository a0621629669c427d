import { parseStructure } from '../file/config-structure.ts'
import type { Layout } from '../file/layout.ts'
import type { Cause, Receipt } from './receipt.ts'
import { idOf, linesOf, type Step } from './step.ts'

/** Who wants another configuration, and why. */
export interface Order {
  readonly actor: string
  readonly causes: readonly Cause[]
  /** The `id` of the outlook that was agreed to; another step is refused. */
  readonly expected?: string
  /** Also where nothing differs: HAProxy's program has been replaced, say. */
  readonly reload?: boolean
}

/** Another layout, made of the one in force. */
export type NextLayout = (before: Layout) => Layout

/** What would be done, and how. */
export interface Outlook {
  /** Tells this step from another; 12 hexadecimal digits. */
  readonly id: string
  readonly method: 'nothing' | Receipt['method']
  readonly reasons: readonly string[]
  /** For the socket, in order. */
  readonly commands: readonly string[]
  /** HAProxy's file as it is and as it would be. */
  readonly before: string
  readonly after: string
  /**
   * Why HAProxy would not load that file, in its own words with file and line: a reload is refused for it. Also of a file that is as
   * it is: a certificate that it names is gone, say, and HAProxy's next start would fail.
   */
  readonly refusal?: string
}

/** @param before HAProxy's file as it is; @param isNewFile it would be another one, also where nothing is to be done to HAProxy */
export function outlookOf(step: Step, before: string, isNewFile: boolean): Outlook {
  const { plan } = step
  const method = plan.kind !== 'nothing' ? plan.kind : isNewFile ? 'file' : 'nothing'
  return {
    id: idOf(step),
    method,
    reasons: plan.kind === 'reload' ? plan.reasons : [],
    commands: linesOf(plan),
    before,
    after: method === 'nothing' ? before : step.file,
  }
}

/** The step to a layout's file while HAProxy does not run: its file is written, and the supervisor starts HAProxy with it. */
export function offlineStep(text: string): Step {
  const config = parseStructure(text)
  return { text, file: text, config, wanted: { config, servers: new Map() }, plan: { kind: 'nothing' } }
}
