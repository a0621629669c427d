/**
 * supervisor: the services of this host. Starts them, knows within milliseconds when one is ready or dead, restarts what
 * ends by itself, stops gently first, and survives itself: a killed agent's services run on, and the next one adopts them
 * with their output. Knows neither what they are nor who is told.
 */
export { type ServicePaths } from './drivers/launch.ts'
export { type ServiceStatus, type StopOptions } from './drivers/service-runner.ts'
export { Supervisor, type SupervisorConfig, type SupervisorDeps, startSupervisor } from './drivers/supervisor.ts'
export {
  AlreadySupervisedError,
  LaunchError,
  ServiceSpecError,
  StateDirError,
  UnknownServiceError,
} from './errors.ts'
export { LINE_BYTES_MAX } from './line-splitter.ts'
export { type ServiceState } from './service-core.ts'
export { assertSpec, type RestartSpec, type Serves, type ServiceSpec } from './spec.ts'
