/**
 * Configuration, parsed once at the edge: files, environment and flags come in as text and go out typed, defaulted and
 * frozen, or as one `ConfigError` that lists every problem with its place.
 */
export { jsonSchema } from './check.ts'
export { type ConfigWorld, systemWorld } from './drivers/world.ts'
export { parseDuration } from './duration.ts'
export { type ConfigInput, DEFAULT_FILE, loadConfig } from './load.ts'
export { nearest } from './nearest.ts'
export { readAddress } from './schema/values.ts'
export { ConfigError, type Problem } from './problems.ts'
export { type Setting, SETTINGS } from './settings.ts'
export type {
  AgentConfig,
  ApiSettings,
  BalancerSettings,
  CheckSettings,
  ClusterConfig,
  DiscoverySettings,
  FrontendSettings,
  LogLevel,
  NodeConfig,
  PoolSettings,
  ReadyCheck,
  RetrySettings,
  RouteSettings,
  ServiceConfig,
  StickySettings,
  TlsSettings,
} from './types.ts'
