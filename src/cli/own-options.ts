/** The commands that read their options themselves: their tables, for whoever completes or documents them. */
import type { OwnOptions } from './completion.ts'
import { DEMO_HELP, DEMO_OPTIONS } from './demo/options.ts'
import { HELP as PROVE_HELP, PROVE_OPTIONS, SCENARIOS, WORDS } from './prove/options.ts'
import { HELP as SIM_HELP, SIM_OPTIONS, STUDIES } from './sim/options.ts'

/** By command. */
export const OWN_OPTIONS: Readonly<Record<string, OwnOptions>> = {
  demo: { help: DEMO_HELP, options: DEMO_OPTIONS, choices: [], takesFile: false },
  prove: { help: PROVE_HELP, options: PROVE_OPTIONS, choices: [...SCENARIOS, ...WORDS], takesFile: false },
  sim: { help: SIM_HELP, options: SIM_OPTIONS, choices: [...STUDIES], takesFile: true },
}
