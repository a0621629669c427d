import { MusterError } from '../base/index.ts'

/** No HAProxy to run. Nothing was started, nothing changed. */
export class HaproxyMissingError extends MusterError {
  readonly code = 'BALANCER_HAPROXY_MISSING'
  constructor(path: string, options?: { cause: unknown }) {
    super(
      `cannot run ${path}; install HAProxy 2.6 or newer (Debian: apt-get install haproxy) or set balancer.haproxy`,
      options,
    )
  }
}

/** HAProxy is there but too old for what Muster relies on. Nothing was started, nothing changed. */
export class HaproxyTooOldError extends MusterError {
  readonly code = 'BALANCER_HAPROXY_TOO_OLD'
  constructor(path: string, version: string) {
    super(`${path} is version ${version}; Muster needs HAProxy 2.6 or newer. Nothing was started`)
  }
}

/** HAProxy refused a rendered configuration. The previous one still serves, where there was one; no request was lost. */
export class ConfigRefusedError extends MusterError {
  readonly code = 'BALANCER_CONFIG_REFUSED'
  /** HAProxy's own words. */
  readonly words: string
  constructor(refusedPath: string, words: string) {
    super(
      `HAProxy refused the new configuration; the previous one, if any, still serves. Kept as ${refusedPath}. ` +
        `To see why: haproxy -c -f ${refusedPath}\n${words}`,
    )
    this.words = words
  }
}

/** A template does not parse, or names something that the data does not have. The previous configuration still serves. */
export class TemplateError extends MusterError {
  readonly code = 'BALANCER_TEMPLATE'
}

/** A value of the balancer's configuration cannot stand in a configuration line. Nothing was started. */
export class BalancerConfigError extends MusterError {
  readonly code = 'BALANCER_CONFIG'
}

/** HAProxy's socket did not answer, or answered something unknown. What was sent may or may not have been done: look again. */
export class RuntimeSocketError extends MusterError {
  readonly code = 'BALANCER_RUNTIME_SOCKET'
}

/** A reload did not take. The old worker still serves with the configuration it had. */
export class ReloadFailedError extends MusterError {
  readonly code = 'BALANCER_RELOAD_FAILED'
}

/** HAProxy did not come up. It was stopped again; the file is in place. */
export class HaproxyStartError extends MusterError {
  readonly code = 'BALANCER_HAPROXY_START'
  constructor(reason: string, options?: { cause: unknown }) {
    super(`HAProxy did not start: ${reason}. A port in use, say: its output tells which`, options)
  }
}

/** A reply of HAProxy that is not known to mean success. What it did is unknown; a reload makes the process equal to the file. */
export class UnknownReplyError extends MusterError {
  readonly code = 'BALANCER_UNKNOWN_REPLY'
}

/** An address that HAProxy is to listen on cannot be had. Nothing was reloaded: a failing bind would refuse connections for 2 s. */
export class BindError extends MusterError {
  readonly code = 'BALANCER_BIND'
  /** As the configuration has it. */
  readonly address: string
  constructor(message: string, address: string, options?: { cause: unknown }) {
    super(message, options)
    this.address = address
  }
}

/** Between the plan that was agreed to and now something has changed. Nothing was done. */
export class PlanStaleError extends MusterError {
  readonly code = 'BALANCER_PLAN_STALE'
  constructor(id: string) {
    super(`plan ${id} is not what would be done now; nothing was done. Look at it again: muster plan`)
  }
}
