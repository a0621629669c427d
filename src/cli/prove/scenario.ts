import type { ScenarioOptions } from './options.ts'

export async function runScenario(_options: ScenarioOptions, _signal: AbortSignal): Promise<number> {
  throw new Error('soon')
}
