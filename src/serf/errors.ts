import { MusterError } from '../base/index.ts'

/** The operation does not fit the agent's state (left, leaving, shut down). Nothing was done. */
export class SerfStateError extends MusterError {
  readonly code = 'SERF_STATE'
}

/** A user event, query or response larger than its limit. Nothing was sent and no clock moved. */
export class MessageTooLargeError extends MusterError {
  readonly code = 'SERF_TOO_LARGE'
}

/** An answer to a query that is late, or a second one. Nothing was sent. */
export class ResponseRefusedError extends MusterError {
  readonly code = 'SERF_RESPONSE_REFUSED'
}

/** A broadcast was not sent its full number of times in time. What was changed here stays changed. */
export class BroadcastTimeoutError extends MusterError {
  readonly code = 'SERF_BROADCAST_TIMEOUT'
}

/** What stands where the keyring file is to be written is no file. Nothing was changed. */
export class KeyringFileError extends MusterError {
  readonly code = 'SERF_KEYRING_FILE'
}

/** The agent that answers over RPC is not the one that was meant. Nothing was changed in it. */
export class EngineNameError extends MusterError {
  readonly code = 'SERF_ENGINE_NAME'

  constructor(name: string, expected: string) {
    super(`the Serf agent is called "${name}", not "${expected}"; give this node its name, or ask another agent`)
  }
}
