import { MusterError } from '../base/index.ts'

/** The state or run directory cannot be used. Nothing was started. */
export class StateDirError extends MusterError {
  readonly code = 'SUPERVISOR_STATE_DIR'
}

/** Another agent supervises from the same state directory. Nothing was started, nothing of its was touched. */
export class AlreadySupervisedError extends MusterError {
  readonly code = 'SUPERVISOR_ALREADY_RUNNING'
}

/** A service's specification cannot work. Nothing was started. */
export class ServiceSpecError extends MusterError {
  readonly code = 'SUPERVISOR_SPEC'
}

/** No service has this name. Nothing was done. */
export class UnknownServiceError extends MusterError {
  readonly code = 'SUPERVISOR_UNKNOWN_SERVICE'
}

/** A process could not be brought to life; none is left behind. The restart policy decides what comes next. */
export class LaunchError extends MusterError {
  readonly code = 'SUPERVISOR_LAUNCH'
}
