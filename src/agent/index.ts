/**
 * agent: the program. Configuration, wiring, and the translation between rooms that do not know one another. `start.ts` is its
 * table of contents.
 */
export { Agent } from './agent.ts'
export { type AgentConfig, ConfigError, loadConfig } from './config/index.ts'
export { type AgentDeps, startAgent } from './start.ts'
export { VERSION } from './version.ts'
